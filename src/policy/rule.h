#pragma once

// One entry of --egress-allow: ADDRESS, ADDRESS:PORT, [IPV6]:PORT, CIDR or CIDR:PORT. src/workspace checks the same
// grammar when a workspace is created.

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

#include "base/result.h"
#include "policy/address.h"

namespace microagent::policy {

struct Rule {
  Cidr destination;
  std::optional<std::uint16_t> port;  // nothing: every port, and protocols without ports
  std::string text;                   // as the user wrote it

  bool matches(const Address& address, std::optional<std::uint16_t> destination_port) const;
};

// Kind usage; the message quotes the entry and says what is wrong with it.
Result<Rule> parse_rule(std::string_view text);

}  // namespace microagent::policy
