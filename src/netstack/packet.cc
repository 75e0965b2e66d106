#include "netstack/packet.h"

#include <algorithm>
#include <cstring>

#include "base/check.h"
#include "base/pieces.h"
#include "wire/checksum.h"
#include "wire/icmp.h"
#include "wire/ip.h"
#include "wire/udp.h"

namespace microagent::netstack {
namespace {

// Over IPv4 a UDP sender need not make a checksum (RFC 768); over IPv6 it must (RFC 8200, 8.1).
bool is_made(const Packet& packet) {
  if (packet.protocol != wire::kProtocolUdp || !packet.source.is_ipv4()) return true;
  wire::UdpHeader header;
  std::array<std::uint8_t, sizeof header> bytes{};
  if (copy_front(packet.payload, bytes) < bytes.size()) return true;
  std::memcpy(&header, bytes.data(), sizeof header);
  return header.checksum != 0;
}

}  // namespace

bool is_echo_request(const Packet& packet) {
  std::array<std::uint8_t, 1> type{};
  if (copy_front(packet.payload, type) == 0) return false;
  if (packet.protocol == wire::kProtocolIcmp) return type[0] == wire::kIcmpEchoRequest;
  return packet.protocol == wire::kProtocolIcmpv6 && type[0] == wire::kIcmpv6EchoRequest;
}

bool checksum_ok(const Packet& packet) {
  if (packet.checksum_left_out || !is_made(packet)) return true;
  wire::Checksum sum;
  if (packet.protocol != wire::kProtocolIcmp) {
    sum = wire::pseudo_header(packet.source, packet.destination, packet.protocol, packet.bytes);
  }
  sum.add(packet.payload);
  return sum.value() == 0;
}

Quote quote_of(const Packet& packet) {
  Quote quote;
  const std::size_t header_bytes = packet.network_header.size();
  MICROAGENT_CHECK(header_bytes <= Quote::kMaxBytes - 8);
  std::ranges::copy(packet.network_header, quote.bytes.begin());
  quote.size = static_cast<std::uint8_t>(header_bytes +
                                         copy_front(packet.payload, MutableBytes(quote.bytes).subspan(header_bytes)));
  return quote;
}

}  // namespace microagent::netstack
