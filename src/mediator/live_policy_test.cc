#include "mediator/live_policy.h"

#include <gtest/gtest.h>

namespace microagent::mediator {
namespace {

using policy::rule_text;

policy::PolicyText text() { return {}; }

bool names_matter(const policy::PolicyText& policy) { return LivePolicy::make(policy)->names_matter(); }

TEST(LivePolicy, CountsItsChanges) {
  auto policy = LivePolicy::make(text());
  ASSERT_TRUE(policy);
  EXPECT_EQ(policy->version(), 1U);
  policy::PolicyText changed = text();
  changed.deny.push_back(rule_text("evil.example"));
  policy->replace(*LivePolicy::make(changed));
  EXPECT_EQ(policy->version(), 2U);
  EXPECT_TRUE(policy->names_matter());
  EXPECT_EQ(policy->text(), changed);
  policy->replace(*LivePolicy::make(text()));
  EXPECT_EQ(policy->version(), 3U);
}

TEST(LivePolicy, IsNotMadeOfWhatIsNone) {
  policy::PolicyText wrong = text();
  wrong.allow.push_back(rule_text("https://no.example"));
  EXPECT_FALSE(LivePolicy::make(wrong));
}

TEST(LivePolicy, KnowsWhenNamesMatter) {
  EXPECT_FALSE(names_matter(text()));
  policy::PolicyText inside = text();
  inside.allow.push_back(rule_text("db.example:5432"));
  inside.deny.push_back(rule_text("203.0.113.0/24"));
  EXPECT_FALSE(names_matter(inside));

  policy::PolicyText locked = text();
  locked.lock_allowlist = true;
  EXPECT_TRUE(names_matter(locked));
  policy::PolicyText observing = text();
  observing.observe = true;
  EXPECT_TRUE(names_matter(observing));
  policy::PolicyText intercepting = text();
  intercepting.mode = policy::Mode::mitm;
  EXPECT_TRUE(names_matter(intercepting));
  policy::PolicyText off = text();
  off.mode = policy::Mode::off;
  EXPECT_FALSE(names_matter(off));
  policy::PolicyText denying = text();
  denying.deny.push_back(rule_text(".evil.example"));
  EXPECT_TRUE(names_matter(denying));
  policy::PolicyText capping = text();
  capping.allow.push_back(rule_text("big.example"));
  capping.allow.back().form = policy::RuleText::Form::host;
  capping.allow.back().max_bytes = 10;
  EXPECT_TRUE(names_matter(capping));
  policy::PolicyText reading = text();
  reading.allow.push_back({.form = policy::RuleText::Form::host, .destination = "api.example", .methods = {"GET"}});
  EXPECT_TRUE(names_matter(reading));
}

}  // namespace
}  // namespace microagent::mediator
