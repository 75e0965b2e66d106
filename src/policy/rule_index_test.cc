#include "policy/rule_index.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <random>

#include "policy/host.h"

namespace microagent::policy {
namespace {

using testing::ElementsAre;
using testing::IsEmpty;

RuleIndex index_of(const std::vector<std::string>& texts) {
  std::vector<RulePtr> rules;
  for (const std::string& text : texts) rules.push_back(std::make_shared<const Rule>(*parse_rule(text)));
  return RuleIndex(std::move(rules));
}

std::vector<std::string> texts(const std::vector<RulePtr>& rules) {
  std::vector<std::string> all;
  for (const RulePtr& rule : rules) all.push_back(rule->text);
  return all;
}

TEST(RuleIndex, FindsNamesTheMostSpecificFirst) {
  const RuleIndex index = index_of({".com", ".example.com", "*.example.com", "api.example.com", "api.example.com:443",
                                    "*.example.com:443", ".b.example.com", "other.org"});
  EXPECT_THAT(texts(index.find_name("api.example.com", 443)),
              ElementsAre("api.example.com:443", "api.example.com", "*.example.com:443", "*.example.com",
                          ".example.com", ".com"));
  EXPECT_THAT(texts(index.find_name("api.example.com", 80)),
              ElementsAre("api.example.com", "*.example.com", ".example.com", ".com"));
  EXPECT_THAT(texts(index.find_name("a.b.example.com", 443)), ElementsAre(".b.example.com", ".example.com", ".com"));
  EXPECT_THAT(texts(index.find_name("example.com", 443)), ElementsAre(".example.com", ".com"));
  EXPECT_THAT(texts(index.find_name("com", 443)), ElementsAre(".com"));
  EXPECT_THAT(texts(index.find_name("api.example.com", std::nullopt)),
              ElementsAre("api.example.com", "*.example.com", ".example.com", ".com"));
  EXPECT_THAT(texts(index.find_name("api.example.com")).size(), 6U);
}

TEST(RuleIndex, FindsNoNameThatOnlyLooksAlike) {
  const RuleIndex index = index_of({"api.example.com", ".example.net", "*.example.org"});
  for (const char* name : {"xapi.example.com", "a.api.example.com", "example.com", "badexample.net", "net",
                           "example.org", "a.b.example.org", "badexample.org", ""}) {
    EXPECT_THAT(index.find_name(name, 443), IsEmpty()) << name;
  }
}

TEST(RuleIndex, FindsPrefixesTheLongestFirst) {
  const RuleIndex index = index_of(
      {"10.0.0.0/8", "10.1.0.0/16", "10.1.0.0/16:80", "10.1.2.3", "0.0.0.0/0", "::/0", "2001:db8::/32", "name.com"});
  EXPECT_THAT(texts(index.find_address(*parse_address("10.1.2.3"), 80)),
              ElementsAre("10.1.2.3", "10.1.0.0/16:80", "10.1.0.0/16", "10.0.0.0/8", "0.0.0.0/0"));
  EXPECT_THAT(texts(index.find_address(*parse_address("10.9.2.3"), 80)), ElementsAre("10.0.0.0/8", "0.0.0.0/0"));
  EXPECT_THAT(texts(index.find_address(*parse_address("2001:db8::1"), 80)), ElementsAre("2001:db8::/32", "::/0"));
}

TEST(RuleIndex, IsEmptyWithoutRules) {
  EXPECT_THAT(RuleIndex().find_name("a.b", 80), IsEmpty());
  EXPECT_THAT(RuleIndex().find_address(*parse_address("10.0.0.1"), 80), IsEmpty());
}

// The plain meaning of a rule, for comparison.
bool means(const Rule& rule, const std::string& name, const Address& address, std::optional<std::uint16_t> port) {
  if (!rule.matches_port(port)) return false;
  switch (rule.kind) {
    case Rule::Kind::name: return rule.name == name;
    case Rule::Kind::wildcard: return parent_name(name) == rule.name;
    case Rule::Kind::suffix: return name == rule.name || name.ends_with("." + rule.name);
    case Rule::Kind::prefix: return rule.destination.contains(address);
  }
  return false;
}

TEST(RuleIndex, FindsWhatALinearSearchFinds) {
  std::mt19937 random(1);
  const auto pick = [&](unsigned count) { return static_cast<unsigned>(random()) % count; };
  const auto label = [&] { return std::string(1, static_cast<char>('a' + pick(3))); };
  const auto name = [&] {
    std::string text = label();
    for (unsigned more = pick(4); more > 0; --more) text += "." + label();
    return text;
  };
  const auto address = [&] {
    return Address::ipv4({10, static_cast<std::uint8_t>(pick(3)), 0, static_cast<std::uint8_t>(pick(3))});
  };
  for (int round = 0; round < 200; ++round) {
    std::vector<std::string> written;
    for (unsigned rules = pick(40); rules > 0; --rules) {
      const char* forms[] = {"", ".", "*."};
      std::string text = pick(2) == 0 ? forms[pick(3)] + name() : to_string(network_of(address(), pick(33)));
      if (pick(3) == 0) text += ":" + std::to_string(80 + pick(2));
      written.push_back(text);
    }
    const RuleIndex index = index_of(written);
    for (int question = 0; question < 20; ++question) {
      const std::string host = name();
      const Address destination = address();
      const auto port = static_cast<std::uint16_t>(80 + pick(3));
      auto found = texts(index.find_name(host, port));
      for (const std::string& text : texts(index.find_address(destination, port))) found.push_back(text);
      std::vector<std::string> expected;
      for (const RulePtr& rule : index.rules()) {
        if (means(*rule, host, destination, port)) expected.push_back(rule->text);
      }
      EXPECT_THAT(found, testing::UnorderedElementsAreArray(expected)) << host;
    }
  }
}

}  // namespace
}  // namespace microagent::policy
