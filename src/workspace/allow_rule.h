#pragma once

#include <string_view>

#include "base/result.h"

namespace microagent::workspace {

// One entry of --egress-allow: ADDRESS, ADDRESS:PORT, [IPV6]:PORT, CIDR or CIDR:PORT. The mediator reads the same
// grammar (policy/rule.h). Kind usage; the message does not repeat the entry.
Status check_allow_rule(std::string_view text);

}  // namespace microagent::workspace
