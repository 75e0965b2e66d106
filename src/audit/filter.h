#pragma once

// Which records somebody wants to see.

#include <chrono>
#include <optional>
#include <set>
#include <string>
#include <string_view>

#include "audit/record.h"
#include "base/result.h"

namespace microagent::audit {

struct Filter {
  std::set<Event> events;  // empty: every event
  std::string host;        // lower case; a name or an address, or ".suffix" for it and everything below; empty: any
  std::string since;       // a timestamp as records have it; empty: from the beginning
  bool denied = false;     // only what was kept from the guest
};

// "egress_deny", and "deny" in short. Kind usage; names the known ones.
Result<Event> parse_event(std::string_view word);

// An instant or a date as RFC 3339 writes it, in UTC ("2026-06-27T09:01:02Z", "2026-06-27"), or a time ago ("90s",
// "15m", "2h", "7d"). As records have it.
Result<std::string> parse_since(std::string_view text, std::chrono::system_clock::time_point now);

// Whether something was kept from the guest: by the policy, or since its upstream's certificate is not believed.
bool is_denial(const ParsedRecord& record);

bool matches(const Filter& filter, const ParsedRecord& record);

}  // namespace microagent::audit
