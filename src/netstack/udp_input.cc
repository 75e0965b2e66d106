#include "netstack/udp_input.h"

#include <cstring>

#include "base/pieces.h"
#include "wire/udp.h"

namespace microagent::netstack {

std::optional<UdpDatagram> take_udp(Packet& packet) {
  wire::UdpHeader header;
  if (packet.bytes < sizeof header || !checksum_ok(packet)) return std::nullopt;
  const auto rest = take_front(packet.payload, sizeof header, reinterpret_cast<std::uint8_t*>(&header));
  const std::size_t length = header.length;
  if (length < sizeof header || length > packet.bytes) return std::nullopt;
  if (header.source_port == 0 || header.destination_port == 0) return std::nullopt;
  const std::size_t payload_bytes = length - sizeof header;
  return UdpDatagram{header.source_port, header.destination_port, keep_front(rest, payload_bytes), payload_bytes};
}

std::uint16_t udp_destination_port(const Packet& packet) {
  wire::UdpHeader header;
  std::array<std::uint8_t, sizeof header> bytes{};
  copy_front(packet.payload, bytes);
  std::memcpy(&header, bytes.data(), sizeof header);
  return header.destination_port;
}

}  // namespace microagent::netstack
