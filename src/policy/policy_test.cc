#include "policy/policy.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

namespace microagent::policy {
namespace {

using testing::HasSubstr;

RuleText capped(const char* text, std::uint64_t bytes) {
  RuleText entry = rule_text(text);
  entry.max_bytes = bytes;
  return entry;
}

TEST(ModeWord, HasSynonymsAndNoDefault) {
  const auto read = [](const char* word) {
    const auto mode = parse_mode_word(word);
    return mode ? std::string(to_string(mode->mode)) + (mode->lock_allowlist ? "+lock" : "") : mode.error().message;
  };
  EXPECT_EQ(read("broker"), "broker");
  EXPECT_EQ(read("mitm"), "mitm");
  EXPECT_EQ(read("off"), "off");
  EXPECT_EQ(read("guarded"), "mitm");
  EXPECT_EQ(read("strict"), "mitm+lock");
  EXPECT_EQ(read("open"), "off");
  EXPECT_EQ(read("disabled"), "off");
  for (const char* word : {"", "Broker", "strcit", "broker ", "on", "mediated"}) {
    EXPECT_THAT(read(word), HasSubstr("is not an egress mode")) << word;
  }
}

TEST(Policy, IsCompiledWhole) {
  PolicyText text;
  text.mode = Mode::mitm;
  text.lock_allowlist = true;
  text.observe = true;
  text.caps = {1, 2, 3};
  text.allow = {rule_text("a.com"), rule_text("b.com")};
  text.deny = {rule_text("c.com")};
  text.passthrough = {rule_text("d.com")};
  const auto policy = Policy::compile(text);
  ASSERT_TRUE(policy);
  EXPECT_EQ(policy->mode(), Mode::mitm);
  EXPECT_TRUE(policy->lock_allowlist());
  EXPECT_TRUE(policy->observe());
  EXPECT_EQ(policy->caps(), text.caps);
  EXPECT_EQ(policy->list(List::allow).size(), 2U);
  EXPECT_EQ(policy->list(List::deny).rules()[0]->text, "c.com");
  EXPECT_EQ(policy->list(List::passthrough).rules()[0]->text, "d.com");
}

TEST(Policy, KeepsOneRuleOfEachMeaning) {
  PolicyText text;
  text.allow = {rule_text("a.com", "first"), capped("A.com.", 10), capped("a.com", 20), rule_text("a.com:80")};
  const auto policy = Policy::compile(text);
  ASSERT_EQ(policy->list(List::allow).size(), 2U);
  const auto rules = policy->list(List::allow).find_name("a.com", 443);
  ASSERT_EQ(rules.size(), 1U);
  EXPECT_EQ(rules[0]->place, "first");
  EXPECT_EQ(rules[0]->max_bytes, 10U);
}

TEST(Policy, RefusesWhatContradictsItself) {
  const auto refused = [](const PolicyText& text) {
    const auto policy = Policy::compile(text);
    return policy ? std::string() : policy.error().message;
  };
  PolicyText off;
  off.mode = Mode::off;
  off.allow = {rule_text("10.0.0.1")};
  EXPECT_EQ(refused(off), "");
  off.deny = {rule_text("a.com", "--egress-deny")};
  EXPECT_THAT(refused(off), HasSubstr("--egress-deny: egress rule \"a.com\": mode off denies nothing"));
  off.deny.clear();
  off.lock_allowlist = true;
  EXPECT_THAT(refused(off), HasSubstr("locks nothing"));
  off.lock_allowlist = false;
  off.observe = true;
  EXPECT_THAT(refused(off), HasSubstr("observes nothing"));

  PolicyText caps;
  caps.deny = {capped("a.com", 5)};
  EXPECT_THAT(refused(caps), HasSubstr("nothing to cap"));
  PolicyText blind;
  blind.passthrough = {rule_text("a.com")};
  blind.passthrough[0].methods = {"GET"};
  EXPECT_THAT(refused(blind), HasSubstr("are never read"));
  PolicyText bad;
  bad.allow = {rule_text("a.com"), rule_text("https://b.com")};
  EXPECT_THAT(refused(bad), HasSubstr("https://b.com"));
}

TEST(LivePolicy, AddsARuleOnce) {
  PolicyText text;
  text.allow = {rule_text("a.com", "--egress-allow")};
  const auto twice = with_rule(text, List::allow, rule_text("A.COM", "egress allow"));
  ASSERT_TRUE(twice);
  EXPECT_EQ(*twice, text);
  const auto added = with_rule(text, List::deny, rule_text("b.com"));
  EXPECT_EQ(added->deny.size(), 1U);
  const auto raised = with_rule(text, List::allow, capped("a.com", 9));
  ASSERT_EQ(raised->allow.size(), 1U);
  EXPECT_EQ(raised->allow[0].max_bytes, 9U);
  EXPECT_FALSE(with_rule(text, List::allow, rule_text("127.1")));
  EXPECT_FALSE(with_rule(text, List::deny, capped("a.com", 9)));
  PolicyText off;
  off.mode = Mode::off;
  EXPECT_FALSE(with_rule(off, List::deny, rule_text("a.com")));
}

TEST(LivePolicy, RemovesARuleFromEveryList) {
  PolicyText text;
  text.allow = {rule_text("a.com"), rule_text("A.com."), rule_text("a.com:80")};
  text.passthrough = {rule_text("a.com")};
  const auto removed = without_rule(text, rule_text("a.com"));
  ASSERT_TRUE(removed);
  EXPECT_EQ(removed->allow.size(), 1U);
  EXPECT_TRUE(removed->passthrough.empty());
  EXPECT_EQ(without_rule(*removed, rule_text("a.com")).error().kind, ErrorKind::not_found);
  EXPECT_EQ(without_rule(text, rule_text("")).error().kind, ErrorKind::usage);
}

TEST(Interception, IsWhatTheModeOrARuleOnRequestsWants) {
  PolicyText text;
  EXPECT_FALSE(may_intercept(text));
  text.allow.push_back({.destination = "a.com"});
  text.passthrough.push_back({.destination = "b.com"});
  EXPECT_FALSE(may_intercept(text));
  text.deny.push_back({.form = RuleText::Form::host, .destination = "c.com", .methods = {"POST"}});
  EXPECT_TRUE(may_intercept(text));
  text.deny.back() = {.form = RuleText::Form::host, .destination = "c.com", .paths = {"/v1/*"}};
  EXPECT_TRUE(may_intercept(text));
  text.mode = Mode::off;
  EXPECT_FALSE(may_intercept(text));
  text = {.mode = Mode::mitm};
  EXPECT_TRUE(may_intercept(text));
}

}  // namespace
}  // namespace microagent::policy
