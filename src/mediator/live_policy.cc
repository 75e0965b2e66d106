#include "mediator/live_policy.h"

#include <algorithm>

namespace microagent::mediator {
namespace {

using policy::List;

bool has_name(const policy::RulePtr& rule) { return rule->kind != policy::Rule::Kind::prefix; }
bool needs_request(const policy::RulePtr& rule) { return rule->needs_request(); }
bool has_cap(const policy::RulePtr& rule) { return rule->max_bytes || rule->max_connections; }

// An allow rule that only lets something in says nothing of public addresses, which are open without a lock; at inside
// addresses it counts at the SYN, by the names that are bound. Its caps belong to whom it names, though.
bool do_names_matter(const policy::Policy& policy) {
  if (policy.mode() == policy::Mode::off) return false;
  if (policy.mode() == policy::Mode::mitm || policy.lock_allowlist() || policy.observe()) return true;
  const auto allowed = policy.list(List::allow).rules(), denied = policy.list(List::deny).rules();
  const auto passed = policy.list(List::passthrough).rules();
  const auto capped_name = [](const policy::RulePtr& rule) { return has_cap(rule) && has_name(rule); };
  return std::ranges::any_of(denied, has_name) || std::ranges::any_of(denied, needs_request) ||
         std::ranges::any_of(allowed, needs_request) || std::ranges::any_of(allowed, capped_name) ||
         std::ranges::any_of(passed, capped_name);
}

}  // namespace

Result<LivePolicy> LivePolicy::make(policy::PolicyText text) {
  auto compiled = policy::Policy::compile(text);
  if (!compiled) return fail(compiled.error());
  return LivePolicy(std::move(text), std::move(*compiled));
}

LivePolicy::LivePolicy(policy::PolicyText text, policy::Policy policy)
    : text_(std::move(text)), policy_(std::move(policy)), names_matter_(do_names_matter(policy_)) {}

void LivePolicy::replace(LivePolicy next) {
  const std::uint64_t version = version_ + 1;
  *this = std::move(next);
  version_ = version;
}

}  // namespace microagent::mediator
