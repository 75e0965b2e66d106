#include "policy/address.h"

#include <gtest/gtest.h>

namespace microagent::policy {
namespace {

TEST(Address, RoundTripsCanonicalText) {
  for (const char* text :
       {"0.0.0.0", "192.0.2.255", "::", "::1", "2001:db8::1", "64:ff9b::192.0.2.1", "fe80::1:2:3:4"}) {
    const auto address = parse_address(text);
    ASSERT_TRUE(address) << text;
    EXPECT_EQ(parse_address(to_string(*address)), address) << text;
  }
  EXPECT_EQ(to_string(*parse_address("2001:DB8:0:0:0:0:0:1")), "2001:db8::1");
}

TEST(Address, RefusesWhatAnotherProgramCouldReadDifferently) {
  for (std::string_view text :
       {"",           "1",         "1.2.3",    "1.2.3.4.5", "01.2.3.4",          "1.2.3.04",  "0x7f.0.0.1",
        "2130706433", "1.2.3.256", " 1.2.3.4", "1.2.3.4 ",  "1.2.3.-4",          "1.2.3.4/8", "[::1]",
        "::1%lo",     "1::2::3",   "12345::",  ":::",       "1:2:3:4:5:6:7:8:9", "localhost"}) {
    EXPECT_FALSE(parse_address(text)) << text;
  }
  EXPECT_FALSE(parse_address(std::string_view("1.2.3.4\0.evil", 13)));
}

TEST(Address, UnmapsOnlyMappedOnes) {
  EXPECT_EQ(unmapped(*parse_address("::ffff:10.0.0.1")), *parse_address("10.0.0.1"));
  EXPECT_EQ(unmapped(*parse_address("::10.0.0.1")), *parse_address("::10.0.0.1"));
  EXPECT_EQ(unmapped(*parse_address("10.0.0.1")), *parse_address("10.0.0.1"));
}

TEST(Cidr, ContainsItsEdgesAndNothingBeyond) {
  const auto cidr = parse_cidr("172.16.0.0/12");
  ASSERT_TRUE(cidr);
  EXPECT_TRUE(cidr->contains(*parse_address("172.16.0.0")));
  EXPECT_TRUE(cidr->contains(*parse_address("172.31.255.255")));
  EXPECT_FALSE(cidr->contains(*parse_address("172.15.255.255")));
  EXPECT_FALSE(cidr->contains(*parse_address("172.32.0.0")));
  EXPECT_FALSE(cidr->contains(*parse_address("ac10::")));  // the same first bytes, the other family
}

TEST(Cidr, ClearsHostBitsAndTakesEveryLength) {
  EXPECT_EQ(to_string(*parse_cidr("192.168.64.2/24")), "192.168.64.0/24");
  EXPECT_TRUE(parse_cidr("0.0.0.0/0")->contains(*parse_address("203.0.113.9")));
  EXPECT_TRUE(parse_cidr("::/0")->contains(*parse_address("2001:db8::1")));
  EXPECT_FALSE(parse_cidr("192.0.2.1/32")->contains(*parse_address("192.0.2.0")));
  EXPECT_FALSE(parse_cidr("2001:db8::1/128")->contains(*parse_address("2001:db8::")));
}

TEST(Cidr, RefusesBadLengths) {
  for (const char* text : {"10.0.0.0", "10.0.0.0/", "10.0.0.0/33", "10.0.0.0/-1", "10.0.0.0/08", "10.0.0.0/8x",
                           "10.0.0.0/ 8", "::/129", "/8", "10.0.0.0/8/8", "10.0.0.0/99999999999"}) {
    EXPECT_FALSE(parse_cidr(text)) << text;
  }
}

}  // namespace
}  // namespace microagent::policy
