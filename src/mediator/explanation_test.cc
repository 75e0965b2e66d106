#include "mediator/explanation.h"

#include <gtest/gtest.h>

#include <nlohmann/json.hpp>

namespace microagent::mediator {
namespace {

Denial some_denial() { return {"d7", "api.example", "not-listed", "lockAllowlist: not listed", "denied", false}; }

LivePolicy some_policy() {
  policy::PolicyText text;
  text.lock_allowlist = true;
  text.allow.push_back(policy::rule_text("good.example:443", "--egress-allow"));
  return *LivePolicy::make(text);
}

std::string body_of(const std::string& response) {
  const std::size_t end = response.find("\r\n\r\n");
  EXPECT_NE(end, std::string::npos);
  const std::string body = response.substr(end + 4);
  EXPECT_NE(response.find("Content-Length: " + std::to_string(body.size()) + "\r\n"), std::string::npos) << response;
  return body;
}

TEST(Explanation, NamesTheRuleAndTheDecision) {
  const std::string text = refusal_response(some_denial(), "192.0.2.1:80", false, false);
  EXPECT_TRUE(text.starts_with("HTTP/1.1 403 Forbidden\r\n"));
  const std::string body = body_of(text);
  EXPECT_NE(body.find("192.0.2.1:80 (api.example)"), std::string::npos);
  EXPECT_NE(body.find("rule: lockAllowlist: not listed\n"), std::string::npos);
  EXPECT_NE(body.find("decision: d7\n"), std::string::npos);

  const std::string json = refusal_response(some_denial(), "192.0.2.1:80", true, true);
  EXPECT_TRUE(json.starts_with("HTTP/1.1 400 Bad Request\r\nContent-Type: application/json"));
  const auto parsed = nlohmann::json::parse(body_of(json));
  EXPECT_EQ(parsed["decision"], "d7");
  EXPECT_EQ(parsed["rule"], "lockAllowlist: not listed");
  EXPECT_EQ(parsed["host"], "api.example");
}

TEST(Explanation, ShowsThePolicyAndTheLastRefusals) {
  RecentDenials denials;
  EXPECT_NE(body_of(policy_page(some_policy(), denials, false, false)).find("last refusals:\n  none\n"),
            std::string::npos);
  denials.add({"2026-01-01T00:00:00Z", "192.0.2.1:80", "tcp", some_denial()});
  const std::string text = body_of(policy_page(some_policy(), denials, false, false));
  EXPECT_NE(text.find("broker, only what is listed, version 1\n"), std::string::npos) << text;
  EXPECT_NE(text.find("allow good.example:443 (--egress-allow)"), std::string::npos) << text;
  EXPECT_NE(text.find("d7 2026-01-01T00:00:00Z tcp 192.0.2.1:80 (api.example): not-listed"), std::string::npos);

  const auto json = nlohmann::json::parse(body_of(policy_page(some_policy(), denials, true, false)));
  EXPECT_EQ(json["denials"][0]["decision"], "d7");
  EXPECT_EQ(json["egress"]["lockAllowlist"], true);
}

TEST(Explanation, HasNoBodyForHead) {
  const std::string head = policy_page(some_policy(), {}, false, true);
  EXPECT_TRUE(head.ends_with("\r\n\r\n"));
  EXPECT_EQ(head.find("Content-Length: 0"), std::string::npos);
}

TEST(RecentDenials, KeepTheNewest) {
  RecentDenials denials;
  for (std::size_t i = 0; i < RecentDenials::kKept + 3; ++i)
    denials.add({std::to_string(i), "", "", {.id = std::to_string(i)}});
  EXPECT_EQ(denials.entries().size(), RecentDenials::kKept);
  EXPECT_EQ(denials.entries().front().ts, std::to_string(RecentDenials::kKept + 2));
}

}  // namespace
}  // namespace microagent::mediator
