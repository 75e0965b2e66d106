#pragma once

#include <optional>

#include "netstack/stack.h"

namespace microagent::netstack {

// Where a service of the guest's is looked for: at the guest's address of the family that its client speaks, and while
// nobody listens there, elsewhere. A service may listen on the guest's 127.0.0.1 only (the guest allows it to be
// reached there, route_localnet; to its ::1 no way leads), or by the other family.
wire::IpAddress first_dial_place(const Config& config, const GuestService& service);
std::optional<wire::IpAddress> next_dial_place(const Config& config, const GuestService& service,
                                               const wire::IpAddress& refused);

}  // namespace microagent::netstack
