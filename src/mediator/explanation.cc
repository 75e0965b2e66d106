#include "mediator/explanation.h"

#include <fmt/format.h>

#include <nlohmann/json.hpp>

#include "policy/policy_json.h"

namespace microagent::mediator {
namespace {

using Json = nlohmann::ordered_json;

std::string dump(const Json& json) { return json.dump(2, ' ', true, Json::error_handler_t::replace) + "\n"; }

std::string respond(std::string_view status, std::string_view type, std::string_view body, bool head_only = false) {
  return fmt::format(
      "HTTP/1.1 {}\r\nContent-Type: {}; charset=utf-8\r\nContent-Length: {}\r\nCache-Control: no-store\r\n"
      "X-Content-Type-Options: nosniff\r\nConnection: close\r\n\r\n{}",
      status, type, body.size(), head_only ? "" : body);
}

Json to_json(const Denial& denial) {
  Json json = Json::object();
  json["decision"] = denial.id;
  if (!denial.host.empty()) json["host"] = denial.host;
  json["reason"] = denial.reason;
  json["rule"] = denial.rule;
  if (!denial.signal.empty()) json["signal"] = denial.signal;
  return json;
}

std::string refusal_text(const Denial& denial, std::string_view dst) {
  const std::string host = denial.host.empty() || denial.host == dst ? "" : fmt::format(" ({})", denial.host);
  return fmt::format("microagent refused this request to {}{}.\nreason: {}\nrule: {}\ndecision: {}\nmore: http://{}/\n",
                     dst, host, denial.reason, denial.rule, denial.id, kPolicyHost);
}

std::string rule_lines(const LivePolicy& policy) {
  std::string lines;
  for (const policy::List list : {policy::List::deny, policy::List::passthrough, policy::List::allow}) {
    for (const policy::RulePtr& rule : policy.policy().list(list).rules()) {
      lines += fmt::format("  {} {}{}\n", policy::to_string(list), rule->text,
                           rule->place.empty() ? "" : fmt::format(" ({})", rule->place));
    }
  }
  return lines.empty() ? "  none\n" : lines;
}

std::string page_text(const LivePolicy& policy, const RecentDenials& denials) {
  const policy::Policy& rules = policy.policy();
  std::string text = fmt::format("egress: {}{}{}, version {}\nrules:\n{}last refusals:\n",
                                 policy::to_string(rules.mode()), rules.lock_allowlist() ? ", only what is listed" : "",
                                 rules.observe() ? ", observing" : "", policy.version(), rule_lines(policy));
  if (denials.entries().empty()) text += "  none\n";
  for (const auto& [ts, dst, proto, denial] : denials.entries()) {
    const std::string host = denial.host.empty() ? "" : fmt::format(" ({})", denial.host);
    text += fmt::format("  {} {} {} {}{}: {}; {}\n", denial.id, ts, proto, dst, host, denial.reason, denial.rule);
  }
  return text;
}

std::string page_json(const LivePolicy& policy, const RecentDenials& denials) {
  Json json = Json::object();
  json["egress"] = policy::to_json(policy.text());
  json["version"] = policy.version();
  json["denials"] = Json::array();
  for (const auto& [ts, dst, proto, denial] : denials.entries()) {
    Json entry = to_json(denial);
    entry["ts"] = ts;
    entry["dst"] = dst;
    entry["proto"] = proto;
    json["denials"].push_back(std::move(entry));
  }
  return dump(json);
}

constexpr std::string_view kJsonType = "application/json", kTextType = "text/plain";

}  // namespace

std::string refusal_body(const Denial& denial, std::string_view dst, bool as_json) {
  if (!as_json) return refusal_text(denial, dst);
  Json json = Json::object();
  json["error"] = "egress_denied";
  json["dst"] = dst;
  json.update(to_json(denial));
  json["more"] = fmt::format("http://{}/", kPolicyHost);
  return dump(json);
}

std::string failure_body(std::string_view host, std::string_view dst, std::string_view why, bool as_json) {
  if (!as_json) return fmt::format("microagent has no answer from {} ({}).\nreason: {}\n", dst, host, why);
  Json json = Json::object();
  json["error"] = "upstream_failed";
  json["host"] = host;
  json["dst"] = dst;
  json["reason"] = why;
  return dump(json);
}

std::string refusal_response(const Denial& denial, std::string_view dst, bool as_json, bool bad_request) {
  const std::string_view status = bad_request ? "400 Bad Request" : "403 Forbidden";
  return respond(status, as_json ? kJsonType : kTextType, refusal_body(denial, dst, as_json));
}

std::string policy_page(const LivePolicy& policy, const RecentDenials& denials, bool as_json, bool head_only) {
  if (as_json) return respond("200 OK", kJsonType, page_json(policy, denials), head_only);
  return respond("200 OK", kTextType, page_text(policy, denials), head_only);
}

std::string plain_response(std::string_view status, std::string_view text) { return respond(status, kTextType, text); }

}  // namespace microagent::mediator
