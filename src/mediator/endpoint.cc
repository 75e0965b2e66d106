#include "mediator/endpoint.h"

#include <fmt/format.h>

#include <cstring>

namespace microagent::mediator {

std::optional<policy::Address> address_of(const flow::Endpoint& endpoint) {
  if (endpoint.family == flow::Family::ipv6) return policy::Address::ipv6(endpoint.address);
  if (endpoint.family != flow::Family::ipv4) return std::nullopt;
  const auto& bytes = endpoint.address;
  return policy::Address::ipv4({bytes[0], bytes[1], bytes[2], bytes[3]});
}

std::optional<std::uint32_t> vsock_cid(const flow::Endpoint& endpoint) {
  if (endpoint.family != flow::Family::vsock) return std::nullopt;
  std::uint32_t cid = 0;
  std::memcpy(&cid, endpoint.address.data(), sizeof cid);
  return cid;
}

flow::Endpoint endpoint_of(const policy::Address& address, std::uint16_t port) {
  flow::Endpoint endpoint;
  endpoint.family = address.family == policy::Address::Family::ipv4 ? flow::Family::ipv4 : flow::Family::ipv6;
  endpoint.address = address.bytes;
  endpoint.port = port;
  return endpoint;
}

flow::Endpoint vsock_endpoint(std::uint32_t cid, std::uint32_t port) {
  flow::Endpoint endpoint;
  endpoint.family = flow::Family::vsock;
  std::memcpy(endpoint.address.data(), &cid, sizeof cid);
  endpoint.port = port;
  return endpoint;
}

std::string host_text(const flow::Endpoint& endpoint) {
  if (const auto address = address_of(endpoint)) return policy::to_string(*address);
  if (const auto cid = vsock_cid(endpoint)) return fmt::format("vsock:{}", *cid);
  return "unknown";
}

std::string endpoint_text(const flow::Endpoint& endpoint, flow::Protocol protocol) {
  const std::string host = host_text(endpoint);
  if (protocol == flow::Protocol::icmp_echo) return host;
  if (endpoint.family == flow::Family::ipv6) return fmt::format("[{}]:{}", host, endpoint.port);
  return fmt::format("{}:{}", host, endpoint.port);
}

std::string_view protocol_text(flow::Protocol protocol) {
  switch (protocol) {
    case flow::Protocol::icmp_echo: return "icmp";
    case flow::Protocol::tcp: return "tcp";
    case flow::Protocol::udp: return "udp";
    case flow::Protocol::vsock: return "vsock";
  }
  return "unknown";
}

}  // namespace microagent::mediator
