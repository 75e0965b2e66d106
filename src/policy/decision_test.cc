#include "policy/decision.h"

#include <gtest/gtest.h>

namespace microagent::policy {
namespace {

Policy policy_of(std::initializer_list<const char*> rules) {
  Policy policy;
  for (const char* rule : rules) policy.allow.push_back(*parse_rule(rule));
  return policy;
}

Decision decided(const Policy& policy, std::string_view destination, std::optional<std::uint16_t> port) {
  return decide(policy, {}, {*parse_address(destination), port});
}

TEST(Decide, AllowsThePublicAndDeniesTheInside) {
  const Decision outside = decided({}, "203.0.113.1", 443);
  EXPECT_TRUE(outside.allow);
  EXPECT_EQ(outside.reason, Reason::unlisted_public);

  const Decision loopback = decided({}, "127.0.0.1", 80);
  EXPECT_FALSE(loopback.allow);
  EXPECT_EQ(loopback.reason, Reason::inside);
  EXPECT_EQ(loopback.rule, "inside: loopback 127.0.0.0/8");
}

TEST(Decide, LetsARuleOverrideTheInside) {
  const Policy policy = policy_of({"127.0.0.1:8080"});
  const Decision listed = decided(policy, "127.0.0.1", 8080);
  EXPECT_TRUE(listed.allow);
  EXPECT_EQ(listed.reason, Reason::listed);
  EXPECT_EQ(listed.rule, "--egress-allow 127.0.0.1:8080");
  EXPECT_FALSE(decided(policy, "127.0.0.1", 8081).allow);
  EXPECT_FALSE(decided(policy, "127.0.0.1", std::nullopt).allow);
  EXPECT_FALSE(decided(policy, "127.0.0.2", 8080).allow);
}

TEST(Decide, NamesTheMostSpecificRule) {
  const Policy policy = policy_of({"10.0.0.0/8", "10.1.0.0/16", "10.1.0.0/16:80", "10.0.0.0/8:80"});
  EXPECT_EQ(decided(policy, "10.1.1.1", 80).rule, "--egress-allow 10.1.0.0/16:80");
  EXPECT_EQ(decided(policy, "10.1.1.1", 81).rule, "--egress-allow 10.1.0.0/16");
  EXPECT_EQ(decided(policy, "10.2.1.1", 80).rule, "--egress-allow 10.0.0.0/8:80");
}

TEST(Decide, JudgesMappedAddressesAsIpv4) {
  EXPECT_TRUE(decided(policy_of({"10.0.0.0/8"}), "::ffff:10.0.0.1", 80).allow);
  EXPECT_FALSE(decided({}, "::ffff:10.0.0.1", 80).allow);
}

TEST(Decide, DeniesTheHostsOwnPublicAddress) {
  Surroundings surroundings;
  surroundings.host = {*parse_address("203.0.113.7")};
  EXPECT_FALSE(decide({}, surroundings, {*parse_address("203.0.113.7"), 443}).allow);
}

}  // namespace
}  // namespace microagent::policy
