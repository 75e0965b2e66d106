#pragma once

// The verdict protocol's endpoints as addresses and as text.

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

#include "flow/messages.h"
#include "policy/address.h"

namespace microagent::mediator {

// Nothing unless the family is ipv4 or ipv6.
std::optional<policy::Address> address_of(const flow::Endpoint& endpoint);
// Nothing unless the family is vsock.
std::optional<std::uint32_t> vsock_cid(const flow::Endpoint& endpoint);

flow::Endpoint endpoint_of(const policy::Address& address, std::uint16_t port);
flow::Endpoint vsock_endpoint(std::uint32_t cid, std::uint32_t port);

// "192.0.2.1", "2001:db8::1", "vsock:2".
std::string host_text(const flow::Endpoint& endpoint);
// "192.0.2.1:80", "[2001:db8::1]:80", "vsock:2:1020"; for ICMP, which has no port, as host_text().
std::string endpoint_text(const flow::Endpoint& endpoint, flow::Protocol protocol);
std::string_view protocol_text(flow::Protocol protocol);

}  // namespace microagent::mediator
