#include "init/address.h"

#include <gtest/gtest.h>

namespace microagent::init {
namespace {

TEST(Address, SurvivesTheRoundTrip) {
  for (const char* text : {"192.168.64.2/24", "10.0.0.0/31", "0.0.0.0/0", "2001:db8::2/64", "::/0", "fe80::1/128"}) {
    const auto cidr = parse_cidr(text);
    ASSERT_TRUE(cidr) << text;
    EXPECT_EQ(to_text(*cidr), text);
  }
}

TEST(Address, KnowsItsNetwork) {
  EXPECT_EQ(to_text(parse_cidr("192.168.64.130/25")->network()), "192.168.64.128");
  EXPECT_EQ(to_text(parse_cidr("192.168.64.130/25")->broadcast()), "192.168.64.255");
  EXPECT_EQ(to_text(parse_cidr("192.168.64.2/0")->network()), "0.0.0.0");
  EXPECT_EQ(to_text(parse_cidr("192.168.64.2/32")->broadcast()), "192.168.64.2");
  EXPECT_EQ(to_text(parse_cidr("2001:db8:ffff::2/33")->network()), "2001:db8:8000::");
}

TEST(Address, RefusesWhatIsNone) {
  for (const char* text : {"", "/", "192.168.64.2", "192.168.64.2/33", "192.168.64.2/x", "::1/129", "host/24"}) {
    EXPECT_FALSE(parse_cidr(text)) << text;
  }
  for (const char* text :
       {"10.0.0.0/8", "10.0.0.0/8 via ", "10.0.0.0/8 via ::1", "::/0 via 10.0.0.1", " via 10.0.0.1"}) {
    EXPECT_FALSE(parse_route(text)) << text;
  }
  EXPECT_EQ(to_text(*parse_route("10.0.0.0/8 via 192.168.64.1")), "10.0.0.0/8 via 192.168.64.1");
}

}  // namespace
}  // namespace microagent::init
