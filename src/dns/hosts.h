#pragma once

#include <string_view>
#include <vector>

#include "policy/address.h"

namespace microagent::dns {

// The addresses that hosts(5) gives a name, whatever its case, in their order. Lines that do not parse are passed over,
// as the libraries do.
std::vector<policy::Address> addresses_in_hosts(std::string_view text, std::string_view name);

// RFC 6761, 6.3: `localhost` and what ends in `.localhost` never leave the host.
bool is_localhost(std::string_view name);

}  // namespace microagent::dns
