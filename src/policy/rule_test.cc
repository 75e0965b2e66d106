#include "policy/rule.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

namespace microagent::policy {
namespace {

using testing::HasSubstr;

void expect_rule(std::string_view text, std::string_view cidr, std::optional<std::uint16_t> port) {
  const auto rule = parse_rule(text);
  ASSERT_TRUE(rule) << text;
  EXPECT_EQ(to_string(rule->destination), cidr) << text;
  EXPECT_EQ(rule->port, port) << text;
  EXPECT_EQ(rule->text, text);
}

TEST(Rule, TakesEveryForm) {
  expect_rule("10.1.2.3", "10.1.2.3/32", std::nullopt);
  expect_rule("10.1.2.3:5432", "10.1.2.3/32", 5432);
  expect_rule("2001:db8::1", "2001:db8::1/128", std::nullopt);
  expect_rule("[2001:db8::1]:443", "2001:db8::1/128", 443);
  expect_rule("10.0.0.0/8", "10.0.0.0/8", std::nullopt);
  expect_rule("10.0.0.0/8:65535", "10.0.0.0/8", 65535);
  expect_rule("fd00::/8", "fd00::/8", std::nullopt);
  expect_rule("fd00::/8:53", "fd00::/8", 53);
  expect_rule("::ffff:10.0.0.1", "10.0.0.1/32", std::nullopt);
}

TEST(Rule, SaysWhatIsWrong) {
  const std::pair<const char*, const char*> cases[] = {
      {"", "is empty"},
      {"api.example.com", "is not an IP address"},
      {"https://10.0.0.1", "the prefix is not"},
      {"10.0.0.1:", "the port is not"},
      {"10.0.0.1:0", "the port is not"},
      {"10.0.0.1:080", "the port is not"},
      {"10.0.0.1:65536", "the port is not"},
      {"10.0.0.1:+80", "the port is not"},
      {"10.0.0.1:80x", "the port is not"},
      {"10.0.0.0/33", "the prefix is not"},
      {"10.0.0.0/:80", "the prefix is not"},
      {"[::1]", "is not an IP address"},
      {"[::1", "is not an IP address"},
      {" 10.0.0.1", "is not an IP address"},
      {"10.0.0.1,10.0.0.2", "is not an IP address"},
  };
  for (const auto& [text, why] : cases) {
    const auto rule = parse_rule(text);
    ASSERT_FALSE(rule) << text;
    EXPECT_EQ(rule.error().kind, ErrorKind::usage);
    EXPECT_THAT(rule.error().message, HasSubstr(why)) << text;
    EXPECT_FALSE(rule.error().remediation.empty());
  }
}

TEST(Rule, MatchesPortsOnlyWhereThereAreAny) {
  const Rule every_port = *parse_rule("10.0.0.0/8");
  const Rule one_port = *parse_rule("10.0.0.0/8:80");
  const Address address = *parse_address("10.9.9.9");
  EXPECT_TRUE(every_port.matches(address, 81));
  EXPECT_TRUE(every_port.matches(address, std::nullopt));
  EXPECT_TRUE(one_port.matches(address, 80));
  EXPECT_FALSE(one_port.matches(address, 81));
  EXPECT_FALSE(one_port.matches(address, std::nullopt));
  EXPECT_FALSE(every_port.matches(*parse_address("11.0.0.0"), 80));
}

}  // namespace
}  // namespace microagent::policy
