#include "policy/decision.h"

namespace microagent::policy {
namespace {

bool more_specific(const Rule& rule, const Rule& than) {
  if (rule.destination.length != than.destination.length) return rule.destination.length > than.destination.length;
  return rule.port && !than.port;
}

const Rule* best_match(const std::vector<Rule>& rules, const Address& destination, std::optional<std::uint16_t> port) {
  const Rule* best = nullptr;
  for (const Rule& rule : rules) {
    if (rule.matches(destination, port) && (best == nullptr || more_specific(rule, *best))) best = &rule;
  }
  return best;
}

}  // namespace

std::string_view to_string(Reason reason) {
  switch (reason) {
    case Reason::listed: return "listed";
    case Reason::unlisted_public: return "public";
    case Reason::inside: return "inside";
  }
  return "unknown";
}

Decision decide(const Policy& policy, const Surroundings& surroundings, const Facts& facts) {
  const Address destination = unmapped(facts.destination);
  if (const Rule* rule = best_match(policy.allow, destination, facts.port)) {
    return {true, Reason::listed, "--egress-allow " + rule->text};
  }
  if (auto why = inside(destination, surroundings)) return {false, Reason::inside, "inside: " + *why};
  return {true, Reason::unlisted_public, "default: public addresses are allowed"};
}

}  // namespace microagent::policy
