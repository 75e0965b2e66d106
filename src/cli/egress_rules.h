#pragma once

// Changes of a declared egress policy, and what a recorded session would have needed. Pure.

#include <set>
#include <string>
#include <vector>

#include "audit/record.h"
#include "base/result.h"
#include "policy/policy.h"
#include "workspace/egress.h"

namespace microagent::cli {

// The policy as src/policy has it, and back.
Result<policy::PolicyText> policy_text(const workspace::Egress& egress);
// With what is no policy's as it was in `before`.
Result<workspace::Egress> declared_egress(const policy::PolicyText& text, const workspace::Egress& before);

// With every one of the rules in a list, or without any of them. Kind usage for what is no rule, not_found for one that
// is to be removed and is not there.
Result<workspace::Egress> with_rules(const workspace::Egress& egress, policy::List list,
                                     const std::vector<std::string>& rules, const std::string& place);
Result<workspace::Egress> without_rules(const workspace::Egress& egress, const std::vector<std::string>& rules);

// The rule that a locked workspace would need for what a record tells; empty when it needs none. `denied`: also for
// what was refused.
std::string rule_needed(const audit::ParsedRecord& record, bool denied);

}  // namespace microagent::cli
