// Host names, rules and paths, whoever wrote them: a canonical form is its own canonical form, and what is refused is
// refused in whatever form.

#include <nlohmann/json.hpp>

#include "base/check.h"
#include "policy/decision.h"
#include "policy/host.h"
#include "policy/path.h"
#include "policy/policy_json.h"

namespace microagent::policy {
namespace {

void run_host(std::string_view text) {
  parse_authority(text);
  const auto host = parse_host(text);
  if (!host) return;
  const std::string canonical = to_string(*host);
  const auto again = parse_host(canonical);
  MICROAGENT_CHECK(again && *again == *host);
  MICROAGENT_CHECK(canonical.find('\0') == std::string::npos);
  if (std::holds_alternative<Address>(*host)) return;
  // Nobody who reads addresses generously reads one out of it.
  MICROAGENT_CHECK(!parse_address(canonical) && canonical.size() <= kMaxHostName);
  const std::string_view last = std::string_view(canonical).substr(canonical.rfind('.') + 1);
  MICROAGENT_CHECK(last.find_first_not_of("0123456789") != std::string_view::npos);
}

void run_rule(std::string_view text) {
  const auto rule = parse_rule(text);
  if (!rule) return;
  const auto again = parse_rule(rule->text);
  MICROAGENT_CHECK(again && again->text == rule->text && same_place(*again, *rule));
  PolicyText policy;
  policy.allow = {rule_text(text)};
  const auto compiled = Policy::compile(policy);
  MICROAGENT_CHECK(compiled && policy_from_json(to_json(policy), "fuzz"));
  Facts facts;
  facts.destination = rule->destination.base;
  if (!rule->name.empty()) facts.bound_names = {rule->kind == Rule::Kind::wildcard ? "x." + rule->name : rule->name};
  if (!rule->ports.empty()) facts.port = rule->ports[0].first;
  MICROAGENT_CHECK(decide(*compiled, {}, facts).reason == Reason::listed);
}

void run_path(std::string_view text) {
  if (const auto path = canonical_path(text)) MICROAGENT_CHECK(canonical_path(*path) == path);
  if (const auto pattern = parse_path_pattern(text)) {
    const auto again = parse_path_pattern(*pattern);
    MICROAGENT_CHECK(again && *again == *pattern);
  }
}

}  // namespace
}  // namespace microagent::policy

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  const std::string_view text(reinterpret_cast<const char*>(data), size);
  microagent::policy::run_host(text);
  microagent::policy::run_rule(text);
  microagent::policy::run_path(text);
  return 0;
}
