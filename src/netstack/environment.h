#pragma once

#include <cstdint>

#include "netstack/output.h"
#include "netstack/stack.h"

namespace microagent::netstack {

// Which table a flow lies in; the two low bits of guest-opened flow numbers and of every watch token.
enum class Kind : std::uint8_t { tcp = 0, udp = 1, echo = 2 };
inline constexpr unsigned kKindBits = 2;
constexpr Kind kind_of(std::uint64_t number) { return static_cast<Kind>(number & ((1U << kKindBits) - 1)); }
constexpr std::uint64_t with_kind(std::uint64_t serial, Kind kind) {
  return serial << kKindBits | static_cast<std::uint64_t>(kind);
}

class IcmpErrors;

// What the tables of one stack share.
struct Environment {
  const Config& config;
  Output& output;
  Upcalls& upcalls;
  Stack::Counters& counters;
  IcmpErrors& icmp_errors;
  std::uint64_t now_ns = 0;       // as of the current turn
  std::uint64_t last_serial = 0;  // of flows that the guest opened
  bool severed = false;

  FlowId new_flow(Kind kind) { return with_kind(++last_serial, kind); }
  // Every table counts its flows here, dialled ones too.
  bool full() const { return counters.flows >= config.max_flows; }
};

inline wire::IpAddress guest_address(const Config& config, wire::IpAddress::Family family) {
  return family == wire::IpAddress::Family::ipv4 ? wire::IpAddress::ipv4(config.guest_ip)
                                                 : wire::IpAddress::ipv6(config.guest_ip6);
}
inline wire::IpAddress gateway_address(const Config& config, wire::IpAddress::Family family) {
  return family == wire::IpAddress::Family::ipv4 ? wire::IpAddress::ipv4(config.gateway_ip)
                                                 : wire::IpAddress::ipv6(config.gateway_ip6);
}

// The gateway's link-local address: of its MAC address (RFC 4291, appendix A).
inline wire::IpAddress gateway_link_local(const Config& config) {
  const auto& mac = config.gateway_mac;
  return wire::IpAddress::ipv6({0xfe, 0x80, 0, 0, 0, 0, 0, 0, static_cast<std::uint8_t>(mac[0] ^ 2), mac[1], mac[2],
                                0xff, 0xfe, mac[3], mac[4], mac[5]});
}

}  // namespace microagent::netstack
