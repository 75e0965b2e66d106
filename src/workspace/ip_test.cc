#include "workspace/ip.h"

#include <gtest/gtest.h>

namespace microagent::workspace {
namespace {

using namespace std::string_view_literals;

TEST(Ip, ReadsAStrictDottedQuad) {
  EXPECT_EQ(parse_ipv4("192.168.64.2"), 0xc0a84002U);
  EXPECT_EQ(parse_ipv4("0.0.0.0"), 0U);
  for (const auto text : {""sv, "1.2.3"sv, "1.2.3.4.5"sv, "1.2.3.256"sv, "01.2.3.4"sv, "0x7f.0.0.1"sv, "127.1"sv,
                          "2130706433"sv, "1.2.3.4 "sv, " 1.2.3.4"sv, "1.2.3.4\0x"sv, "localhost"sv, "::1"sv}) {
    EXPECT_FALSE(parse_ipv4(text)) << text;
  }
}

TEST(Ip, WritesWhatItReads) {
  for (const auto text : {"0.0.0.0", "192.168.64.2", "255.255.255.255"}) EXPECT_EQ(to_text(*parse_ipv4(text)), text);
}

TEST(Ip, ReadsAPrefix) {
  const auto prefix = parse_ipv4_prefix("10.1.2.3/8");
  ASSERT_TRUE(prefix);
  EXPECT_EQ(network_text(*prefix), "10.0.0.0/8");
  EXPECT_EQ(to_text(prefix->broadcast()), "10.255.255.255");
  for (const auto text : {"10.1.2.3", "10.1.2.3/", "10.1.2.3/33", "10.1.2.3/08", "10.1.2.3/-1", "10.1.2.3/ 8", "/8"}) {
    EXPECT_FALSE(parse_ipv4_prefix(text)) << text;
  }
}

TEST(Ip, KnowsTheEndsOfPrefixes) {
  EXPECT_EQ(parse_ipv4_prefix("1.2.3.4/0")->mask(), 0U);
  EXPECT_TRUE(parse_ipv4_prefix("1.2.3.4/0")->contains(0xffffffffU));
  EXPECT_EQ(parse_ipv4_prefix("1.2.3.4/32")->mask(), 0xffffffffU);
  EXPECT_FALSE(parse_ipv4_prefix("1.2.3.4/32")->contains(0x01020305U));
  EXPECT_FALSE(parse_ipv4_prefix("1.2.3.4/31")->reserves(0x01020304U));
  EXPECT_TRUE(parse_ipv4_prefix("1.2.3.4/30")->reserves(0x01020304U));
}

TEST(Ip, KnowsWhatAHostCanHave) {
  for (const auto text : {"1.0.0.1", "10.0.0.1", "223.255.255.255"}) EXPECT_TRUE(is_unicast(*parse_ipv4(text))) << text;
  for (const auto text : {"0.0.0.1", "127.0.0.1", "224.0.0.1", "240.0.0.1", "255.255.255.255"}) {
    EXPECT_FALSE(is_unicast(*parse_ipv4(text))) << text;
  }
}

TEST(Ip, HasOneSpellingForEachAddress) {
  EXPECT_EQ(canonical_ip("0:0:0:0:0:0:0:1"), "::1");
  EXPECT_EQ(canonical_ip("2001:DB8::0:1"), "2001:db8::1");
  EXPECT_EQ(canonical_ip("::ffff:127.0.0.1"), "127.0.0.1");
  EXPECT_EQ(canonical_ip("127.0.0.1"), "127.0.0.1");
  for (const auto text : {"fe80::1%eth0"sv, "[::1]"sv, "host"sv, ""sv, "::1\0"sv})
    EXPECT_FALSE(canonical_ip(text)) << text;
}

TEST(Ip, ReadsNumbersWithinTheirLimit) {
  EXPECT_EQ(parse_number("0", 5), 0U);
  EXPECT_EQ(parse_number("65535", 65535), 65535U);
  for (const auto text : {"", "65536", "-1", "+1", "01", "1 ", "0x1", "99999999999999999999"}) {
    EXPECT_FALSE(parse_number(text, 65535)) << text;
  }
}

}  // namespace
}  // namespace microagent::workspace
