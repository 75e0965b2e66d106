#include "policy/policy_json.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <nlohmann/json.hpp>

namespace microagent::policy {
namespace {

using Json = nlohmann::json;
using testing::HasSubstr;

PolicyText rich() {
  PolicyText text;
  text.mode = Mode::mitm;
  text.lock_allowlist = true;
  text.observe = true;
  text.caps = {std::uint64_t{50} << 30, 1000, 256};
  RuleText map;
  map.form = RuleText::Form::host;
  map.destination = "api.example.com";
  map.ports = {"443", "8000-8010"};
  map.methods = {"GET"};
  map.paths = {"/v1/*"};
  map.max_bytes = 1;
  map.max_connections = 2;
  map.place = "p.yaml:3: allow[1]";
  RuleText cidr;
  cidr.form = RuleText::Form::cidr;
  cidr.destination = "10.0.0.0/8";
  text.allow = {rule_text("a.com", "--egress-allow"), map};
  text.deny = {cidr};
  text.passthrough = {rule_text(".b.com")};
  return text;
}

TEST(PolicyJson, RoundTrips) {
  const auto read = policy_from_json(to_json(rich()), "egress");
  ASSERT_TRUE(read) << read.error().message;
  EXPECT_EQ(*read, rich());
  EXPECT_EQ(*policy_from_json(to_json(PolicyText{}), "egress"), PolicyText{});
}

TEST(PolicyJson, LeavesOutWhatIsNotThere) {
  EXPECT_EQ(to_json(PolicyText{}), (Json{{"mode", "broker"}, {"lockAllowlist", false}}));
  EXPECT_EQ(to_json(rule_text("a.com")), (Json{{"rule", "a.com"}}));
}

TEST(PolicyJson, TellsADecision) {
  Decision decision{Verdict::deny, Reason::not_listed, Signal::denied, false, "a.example", nullptr, "lock"};
  EXPECT_EQ(to_json(decision),
            Json::parse(R"({"verdict":"deny","reason":"not-listed","rule":"lock","signal":"denied"})"));
  decision = {Verdict::intercept, Reason::deny_rule, Signal::none, true, "a.example", nullptr, "rule"};
  EXPECT_EQ(to_json(decision),
            Json::parse(R"({"verdict":"allow","reason":"denied","rule":"rule","mitm":true,"wouldDeny":true})"));
}

TEST(PolicyJson, SaysWhichKeyIsWrong) {
  const auto error_with = [](const char* pointer, const Json& value) {
    Json changed = to_json(rich());
    changed[Json::json_pointer(pointer)] = value;
    const auto read = policy_from_json(changed, "egress");
    return read ? std::string() : read.error().message;
  };
  EXPECT_THAT(error_with("/surplus", 1), HasSubstr("egress.surplus: unknown key"));
  EXPECT_THAT(error_with("/mode", "guarded"), HasSubstr("egress.mode: "));
  EXPECT_THAT(error_with("/mode", 1), HasSubstr("egress.mode: "));
  EXPECT_THAT(error_with("/lockAllowlist", "yes"), HasSubstr("egress.lockAllowlist: "));
  EXPECT_THAT(error_with("/observe", 1), HasSubstr("egress.observe: "));
  EXPECT_THAT(error_with("/allow", "a.com"), HasSubstr("egress.allow: a list is wanted"));
  EXPECT_THAT(error_with("/allow/0", "a.com"), HasSubstr("egress.allow[0]: an object is wanted"));
  EXPECT_THAT(error_with("/allow/1/ports", Json::array({80})), HasSubstr("egress.allow[1].ports: "));
  EXPECT_THAT(error_with("/allow/1/maxBytes", -1), HasSubstr("egress.allow[1].maxBytes: "));
  EXPECT_THAT(error_with("/allow/1/maxConnections", 1ULL << 32), HasSubstr("egress.allow[1].maxConnections: "));
  EXPECT_THAT(error_with("/deny/0/host", "x"), HasSubstr("egress.deny[0]: exactly one of"));
  EXPECT_THAT(error_with("/maxTotalBytes", 1.5), HasSubstr("egress.maxTotalBytes: "));
  Json no_mode = to_json(rich());
  no_mode.erase("mode");
  EXPECT_THAT(policy_from_json(no_mode, "egress").error().message, HasSubstr("egress.mode: is missing"));
  EXPECT_THAT(policy_from_json(Json::array(), "egress").error().message, HasSubstr("egress: an object is wanted"));
  EXPECT_FALSE(rule_from_json(Json::object(), "rule"));
}

}  // namespace
}  // namespace microagent::policy
