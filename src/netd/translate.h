#pragma once

// Between the words of the verdict protocol, those of the stack and those of virtio.

#include <optional>

#include "flow/messages.h"
#include "netstack/stack.h"
#include "wire/virtio.h"

namespace microagent::netd {

flow::Endpoint to_flow(const netstack::Endpoint& endpoint);
flow::Protocol to_flow(netstack::Protocol protocol);
flow::Closed to_flow(const netstack::FlowTotals& totals);

// Nothing for vsock and unknown values.
std::optional<netstack::Protocol> to_stack(flow::Protocol protocol);
// An unknown refusal is a reset: the guest is told no in any case.
netstack::Refusal to_stack(flow::Refusal refusal);
netstack::Config to_stack(const flow::Configure& configure);

netstack::Offload to_offload(const wire::NetHeader& header);
wire::NetHeader to_header(const netstack::Offload& offload);

}  // namespace microagent::netd
