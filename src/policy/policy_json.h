#pragma once

// A policy as JSON, in the manifest, in the mediator's configuration and in live changes:
//   {"mode":"broker","lockAllowlist":false,"observe":false,"allow":[ENTRY...],"deny":[...],"passthrough":[...],
//    "maxTotalBytes":N,"maxBytesPerSecond":N,"maxConnections":N}
// ENTRY has exactly one of "rule" (a text), "host" and "cidr", and may have "ports" (texts), "methods", "paths",
// "maxBytes", "maxConnections" and "place". Everything but the mode may be left out.

#include <nlohmann/json_fwd.hpp>
#include <string_view>

#include "base/result.h"
#include "policy/decision.h"
#include "policy/policy.h"

namespace microagent::policy {

nlohmann::json to_json(const RuleText& entry);
nlohmann::json to_json(const PolicyText& text);
// {"verdict","reason","rule"} and, where they hold, "mitm", "wouldDeny" and "signal": what `egress explain` tells.
nlohmann::json to_json(const Decision& decision);

// Strict: an unknown key, a missing mode or a value of another type is an error (permanent) that names the key behind
// `where`, such as "mediator configuration: egress".
Result<RuleText> rule_from_json(const nlohmann::json& json, std::string_view where);
Result<PolicyText> policy_from_json(const nlohmann::json& json, std::string_view where);

}  // namespace microagent::policy
