#include "cli/egress_rules.h"

#include <gtest/gtest.h>

namespace microagent::cli {
namespace {

using policy::List;

workspace::Egress some_egress() {
  workspace::Egress egress;
  egress.lock_allowlist = true;
  egress.allow.push_back({.destination = "a.example:443", .place = "--egress-allow"});
  egress.max_total_bytes = 4096;
  return egress;
}

TEST(EgressRules, ComeAndGo) {
  const auto more = with_rules(some_egress(), List::deny, {"b.example", "10.0.0.0/8"}, "egress deny");
  ASSERT_TRUE(more) << more.error().message;
  EXPECT_EQ(more->allow, some_egress().allow);
  ASSERT_EQ(more->deny.size(), 2U);
  EXPECT_EQ(more->deny[1].destination, "10.0.0.0/8");
  EXPECT_EQ(more->deny[1].place, "egress deny");
  EXPECT_EQ(more->max_total_bytes, 4096U);

  const auto less = without_rules(*more, {"B.Example.", "10.0.0.0/8"});
  ASSERT_TRUE(less) << less.error().message;
  EXPECT_EQ(*less, some_egress());
  EXPECT_EQ(*with_rules(*less, List::allow, {"A.example:443"}, "again"), *less);
}

TEST(EgressRules, LeaveTrustAlone) {
  workspace::Egress trusting = some_egress();
  trusting.trust = {"/ca.pem"};
  const auto more = with_rules(trusting, List::deny, {"10.0.0.0/8"}, "egress deny");
  EXPECT_EQ(more.value().trust, trusting.trust);
  EXPECT_EQ(without_rules(*more, {"10.0.0.0/8"}).value(), trusting);
}

TEST(EgressRules, ChangeTogetherOrNotAtAll) {
  const auto wrong = with_rules(some_egress(), List::allow, {"good.example", "https://x"}, "egress allow");
  ASSERT_FALSE(wrong);
  EXPECT_EQ(wrong.error().kind, ErrorKind::usage);
  const auto missing = without_rules(some_egress(), {"a.example:443", "b.example"});
  ASSERT_FALSE(missing);
  EXPECT_EQ(missing.error().kind, ErrorKind::not_found);
}

TEST(EgressRules, AreLearnedFromWhatWasLetThrough) {
  const auto needed = [](audit::Event event, audit::Fields fields, bool denied = false) {
    return rule_needed({.event = event, .fields = std::move(fields)}, denied);
  };
  using audit::Event;
  EXPECT_EQ(needed(Event::allow, {{"host", "a.example"}, {"dst", "192.0.2.1:443"}, {"unlisted", true}}),
            "a.example:443");
  EXPECT_EQ(needed(Event::udp_allow, {{"host", "2001:db8::1"}, {"dst", "[2001:db8::1]:123"}, {"wouldDeny", "inside"}}),
            "[2001:db8::1]:123");
  EXPECT_EQ(needed(Event::allow, {{"host", "192.0.2.1"}, {"dst", "192.0.2.1"}, {"unlisted", true}}), "192.0.2.1");
  EXPECT_EQ(needed(Event::allow, {{"host", "2001:db8::1"}, {"dst", "2001:db8::1"}, {"unlisted", true}}), "2001:db8::1");
  EXPECT_EQ(needed(Event::allow, {{"host", "a.example"}, {"dst", "192.0.2.1:443"}}), "");
  EXPECT_EQ(needed(Event::deny, {{"host", "a.example"}, {"dst", "192.0.2.1:443"}}), "");
  EXPECT_EQ(needed(Event::deny, {{"host", "a.example"}, {"dst", "192.0.2.1:443"}}, true), "a.example:443");
  EXPECT_EQ(needed(Event::dns_deny, {{"qname", "a.example"}}, true), "");
  EXPECT_EQ(needed(Event::deny, {{"host", "vsock:2"}, {"dst", "vsock:2:9"}}, true), "");
  EXPECT_EQ(needed(Event::close, {{"host", "a.example"}, {"dst", "192.0.2.1:443"}, {"unlisted", true}}), "");
}

}  // namespace
}  // namespace microagent::cli
