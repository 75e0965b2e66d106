#pragma once

// What counts as "the inside": addresses a guest may reach only by an explicit rule.

#include <optional>
#include <set>
#include <string>

#include "policy/address.h"

namespace microagent::policy {

// What the tables cannot know.
struct Surroundings {
  std::set<Address> host;      // every address of the host's interfaces
  std::optional<Cidr> subnet;  // the workspace's own
};

// Why an address is inside, for people: "loopback 127.0.0.0/8", "an address of the host", "NAT64 of
// private 10.0.0.0/8". Nothing for a public address. IPv4 carried in IPv6 (mapped, compatible, NAT64, 6to4, Teredo) is
// judged as the IPv4 address that it reaches.
std::optional<std::string> inside(const Address& address, const Surroundings& surroundings);

// Loopback in any form, the unspecified addresses, which connect(2) takes for it, included: the one destination that
// even mode off keeps from the guest.
bool is_loopback(const Address& address);

}  // namespace microagent::policy
