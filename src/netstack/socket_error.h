#pragma once

#include <array>
#include <cstdint>
#include <optional>

#include "netstack/icmp_errors.h"

namespace microagent::netstack {

// What the kernel reports about a datagram that was sent earlier (ip(7), IP_RECVERR), or that was not sent.
struct SocketError {
  int error_number = 0;
  // Who says so; nothing when this host does. With it, type and code are those of its ICMP message.
  std::optional<wire::IpAddress> from;
  std::uint8_t type = 0, code = 0;
  std::uint32_t mtu = 0;
  // The first bytes of what was sent, as the socket was given it.
  std::array<std::uint8_t, 8> quoted{};
  std::size_t quoted_bytes = 0;
};

// What the guest is told of it: the same where the families agree, else what the number means. Nothing where there is
// nothing to tell: a path that takes all that the guest's link takes is not too narrow.
std::optional<IcmpError> icmp_error_for(const SocketError& error, Family family, std::uint16_t link_mtu);

}  // namespace microagent::netstack
