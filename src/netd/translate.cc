#include "netd/translate.h"

#include <algorithm>

namespace microagent::netd {

flow::Endpoint to_flow(const netstack::Endpoint& endpoint) {
  flow::Endpoint out;
  out.address = endpoint.address.bytes;
  out.port = endpoint.port;
  out.family = endpoint.address.is_ipv4() ? flow::Family::ipv4 : flow::Family::ipv6;
  return out;
}

flow::Protocol to_flow(netstack::Protocol protocol) {
  switch (protocol) {
    case netstack::Protocol::icmp_echo: return flow::Protocol::icmp_echo;
    case netstack::Protocol::tcp: return flow::Protocol::tcp;
    case netstack::Protocol::udp: break;
  }
  return flow::Protocol::udp;
}

flow::Closed to_flow(const netstack::FlowTotals& totals) {
  const auto end = [&] {
    switch (totals.end) {
      case netstack::End::finished: return flow::End::finished;
      case netstack::End::guest_reset: return flow::End::guest_reset;
      case netstack::End::host_reset: return flow::End::host_reset;
      case netstack::End::timed_out: return flow::End::timed_out;
      case netstack::End::killed: return flow::End::killed;
      case netstack::End::refused: return flow::End::refused;
      case netstack::End::capped: return flow::End::capped;
      case netstack::End::no_resources: break;
    }
    return flow::End::no_resources;
  };
  flow::Closed out;
  out.bytes_out = totals.bytes_out;
  out.bytes_in = totals.bytes_in;
  out.duration_us = totals.duration_us;
  out.end = end();
  return out;
}

std::optional<netstack::Protocol> to_stack(flow::Protocol protocol) {
  switch (protocol) {
    case flow::Protocol::icmp_echo: return netstack::Protocol::icmp_echo;
    case flow::Protocol::tcp: return netstack::Protocol::tcp;
    case flow::Protocol::udp: return netstack::Protocol::udp;
    case flow::Protocol::vsock: break;
  }
  return std::nullopt;
}

netstack::Refusal to_stack(flow::Refusal refusal) {
  switch (refusal) {
    case flow::Refusal::net_unreachable: return netstack::Refusal::net_unreachable;
    case flow::Refusal::host_unreachable: return netstack::Refusal::host_unreachable;
    case flow::Refusal::port_unreachable: return netstack::Refusal::port_unreachable;
    case flow::Refusal::admin_prohibited: return netstack::Refusal::admin_prohibited;
    case flow::Refusal::none:
    case flow::Refusal::reset: break;
  }
  return netstack::Refusal::reset;
}

netstack::Config to_stack(const flow::Configure& configure) {
  netstack::Config config;
  config.guest_mac = configure.guest_mac;
  config.gateway_mac = configure.gateway_mac;
  config.guest_ip = configure.guest_ip;
  config.gateway_ip = configure.gateway_ip;
  config.prefix_length = configure.prefix_length;
  config.has_ipv6 = configure.has_ipv6 != 0;
  config.guest_ip6 = configure.guest_ip6;
  config.gateway_ip6 = configure.gateway_ip6;
  config.prefix_length6 = configure.prefix_length6;
  config.mtu = configure.mtu;
  config.dns = configure.dns;
  config.dns_count = static_cast<std::uint8_t>(std::min<std::size_t>(configure.dns_count, configure.dns.size()));
  return config;
}

netstack::Offload to_offload(const wire::NetHeader& header) {
  return {.flags = header.flags,
          .gso_type = header.gso_type,
          .hdr_len = header.header_length,
          .gso_size = header.gso_size,
          .csum_start = header.csum_start,
          .csum_offset = header.csum_offset};
}

wire::NetHeader to_header(const netstack::Offload& offload) {
  wire::NetHeader header;
  header.flags = offload.flags;
  header.gso_type = offload.gso_type;
  header.header_length = offload.hdr_len;
  header.gso_size = offload.gso_size;
  header.csum_start = offload.csum_start;
  header.csum_offset = offload.csum_offset;
  return header;
}

}  // namespace microagent::netd
