#pragma once

#include <optional>

#include "netstack/packet.h"

namespace microagent::netstack {

// A UDP datagram of the guest, its header copied out and checked.
struct UdpDatagram {
  std::uint16_t source_port = 0, destination_port = 0;
  std::span<iovec> payload;
  std::size_t payload_bytes = 0;
};

// Cuts the header off the packet's payload. Nothing when the packet holds no right datagram.
std::optional<UdpDatagram> take_udp(Packet& packet);

// 0 when the packet is too short to have one.
std::uint16_t udp_destination_port(const Packet& packet);

}  // namespace microagent::netstack
