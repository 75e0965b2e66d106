#pragma once

// A whole policy: as it was written, and as it is used.

#include <cstdint>
#include <string>
#include <vector>

#include "base/result.h"
#include "policy/mode.h"
#include "policy/rule.h"
#include "policy/rule_index.h"

namespace microagent::policy {

// Ceilings of the whole workspace; 0: none.
struct Caps {
  std::uint64_t max_total_bytes = 0;
  std::uint64_t max_bytes_per_second = 0;
  std::uint32_t max_connections = 0;
  bool operator==(const Caps&) const = default;
};

// What was written. Lives as JSON in manifests and messages (policy_json.h).
struct PolicyText {
  Mode mode = Mode::broker;
  bool lock_allowlist = false;
  bool observe = false;  // decide and record as if locked, and let everything through that `off` would
  std::vector<RuleText> allow, deny, passthrough;
  Caps caps;

  std::vector<RuleText>& list(List which);
  const std::vector<RuleText>& list(List which) const;
  bool operator==(const PolicyText&) const = default;
};

// Whether TLS of any host at all is intercepted: the mode says so, or a rule on requests, which can only be read there.
bool may_intercept(const PolicyText& text);

// Never changes once it is made: a running workspace replaces the whole.
class Policy {
 public:
  Policy() = default;  // mode broker without a rule

  // Fails (usage) on the first entry that is no rule, and on what contradicts itself: a deny rule or a lock in mode
  // off.
  static Result<Policy> compile(const PolicyText& text);

  Mode mode() const { return mode_; }
  bool lock_allowlist() const { return lock_allowlist_; }
  bool observe() const { return observe_; }
  const Caps& caps() const { return caps_; }
  const RuleIndex& list(List which) const { return lists_[static_cast<std::size_t>(which)]; }

 private:
  Mode mode_ = Mode::broker;
  bool lock_allowlist_ = false;
  bool observe_ = false;
  Caps caps_;
  std::array<RuleIndex, 3> lists_;
};

// Live changes: each gives the new text or says (usage) why not. An entry that is there already is not repeated.
Result<PolicyText> with_rule(const PolicyText& text, List list, const RuleText& entry);
// Takes every entry out that means the same rule, from every list; not_found when there is none.
Result<PolicyText> without_rule(const PolicyText& text, const RuleText& entry);

}  // namespace microagent::policy
