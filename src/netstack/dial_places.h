#pragma once

#include <optional>

#include "netstack/stack.h"

namespace microagent::netstack {

// Where a service of the guest's is looked for: at the guest's address of the family that its client speaks, and while
// nobody listens there, at that of the other family, and at last at its 127.0.0.1. (Our guest allows that, by
// route_localnet; another's may say nothing at all there. To a ::1 no way leads.)
wire::IpAddress first_dial_place(const Config& config, const GuestService& service);
std::optional<wire::IpAddress> next_dial_place(const Config& config, const GuestService& service,
                                               const wire::IpAddress& refused);

}  // namespace microagent::netstack
