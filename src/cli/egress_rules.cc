#include "cli/egress_rules.h"

#include <fmt/format.h>

#include <nlohmann/json.hpp>

#include "policy/policy_json.h"

namespace microagent::cli {
namespace {

using audit::Event;
using policy::PolicyText;

bool is_true(const audit::ParsedRecord& record, const char* key) {
  const auto found = record.fields.find(key);
  return found != record.fields.end() && *found == true;
}

// ":443" of "192.0.2.1:443" and "[2001:db8::1]:443"; empty where there is no port.
std::string port_of(const std::string& dst) {
  const std::size_t colon = dst.rfind(':');
  if (colon == std::string::npos || (dst.find(':') != colon && !dst.starts_with('['))) return {};
  return dst.substr(colon);
}

}  // namespace

Result<PolicyText> policy_text(const workspace::Egress& egress) {
  return policy::policy_from_json(workspace::to_json(egress), "egress");
}

Result<workspace::Egress> declared_egress(const PolicyText& text, const workspace::Egress& before) {
  auto egress = workspace::egress_from_json(policy::to_json(text), "egress");
  if (egress) egress->trust = before.trust;
  return egress;
}

Result<workspace::Egress> with_rules(const workspace::Egress& egress, policy::List list,
                                     const std::vector<std::string>& rules, const std::string& place) {
  auto text = policy_text(egress);
  for (const std::string& rule : rules) {
    if (!text) break;
    text = policy::with_rule(*text, list, policy::rule_text(rule, place));
  }
  if (!text) return fail(text.error());
  return declared_egress(*text, egress);
}

Result<workspace::Egress> without_rules(const workspace::Egress& egress, const std::vector<std::string>& rules) {
  auto text = policy_text(egress);
  for (const std::string& rule : rules) {
    if (!text) break;
    text = policy::without_rule(*text, policy::rule_text(rule));
  }
  if (!text) return fail(text.error());
  return declared_egress(*text, egress);
}

std::string rule_needed(const audit::ParsedRecord& record, bool denied) {
  const bool allowed = record.event == Event::allow || record.event == Event::udp_allow;
  const bool listed = !is_true(record, "unlisted") && !record.fields.contains("wouldDeny");
  const bool refused = audit::is_denial(record.event) && record.event != Event::dns_deny;
  if (!(allowed && !listed) && !(denied && refused)) return {};
  const std::string host = record.text("host"), dst = record.text("dst");
  if (host.empty() || dst.empty() || host.starts_with("vsock:")) return {};
  const bool ipv6 = host.find(':') != std::string::npos;
  const std::string port = port_of(dst);
  return ipv6 && !port.empty() ? fmt::format("[{}]{}", host, port) : host + port;
}

}  // namespace microagent::cli
