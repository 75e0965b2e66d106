#pragma once

// The pure function from the facts of a flow to a decision and the rule that made it.

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "policy/inside.h"
#include "policy/rule.h"

namespace microagent::policy {

struct Policy {
  std::vector<Rule> allow;
};

// What is known of a flow when it is judged. `destination` is the address that will be dialled.
struct Facts {
  Address destination;
  std::optional<std::uint16_t> port;  // nothing for protocols without ports
};

enum class Reason : std::uint8_t {
  listed,           // an allow rule names the destination
  unlisted_public,  // no rule names it, and it is public
  inside,           // no rule names it, and it is inside
};
std::string_view to_string(Reason reason);

struct Decision {
  bool allow = false;
  Reason reason = Reason::inside;
  std::string rule;  // the deciding rule: as the user wrote it, or what the built-in rule saw
};

// An allow rule beats the inside; the most specific one is named. Everything else that is public is allowed.
Decision decide(const Policy& policy, const Surroundings& surroundings, const Facts& facts);

}  // namespace microagent::policy
