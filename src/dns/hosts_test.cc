#include "dns/hosts.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

namespace microagent::dns {
namespace {

constexpr std::string_view kHosts =
    "# the usual\n"
    "127.0.0.1\tlocalhost\n"
    "::1 localhost ip6-localhost # and more\n"
    "192.0.2.7  plane.test plane plane\n"
    "no-address plane.test\n"
    "192.0.2.8\n"
    "2001:db8::7 PLANE.test";

std::vector<std::string> found(std::string_view name) {
  std::vector<std::string> texts;
  for (const policy::Address& address : addresses_in_hosts(kHosts, name)) texts.push_back(policy::to_string(address));
  return texts;
}

TEST(Hosts, GiveEveryAddressOfAName) {
  EXPECT_THAT(found("plane.test"), testing::ElementsAre("192.0.2.7", "2001:db8::7"));
  EXPECT_THAT(found("Plane"), testing::ElementsAre("192.0.2.7"));
  EXPECT_THAT(found("localhost"), testing::ElementsAre("127.0.0.1", "::1"));
  EXPECT_THAT(found("and"), testing::IsEmpty());
  EXPECT_THAT(found("plan"), testing::IsEmpty());
  EXPECT_THAT(found(""), testing::IsEmpty());
}

TEST(Hosts, KnowLocalhost) {
  for (const char* name : {"localhost", "LOCALHOST.", "a.localhost"}) EXPECT_TRUE(is_localhost(name)) << name;
  for (const char* name : {"", ".", ".localhost", "localhost.test", "alocalhost"}) {
    EXPECT_FALSE(is_localhost(name)) << name;
  }
}

}  // namespace
}  // namespace microagent::dns
