#include "netstack/dhcp.h"

#include <algorithm>
#include <cstring>

#include "base/pieces.h"
#include "netstack/udp_input.h"
#include "wire/ip.h"
#include "wire/udp.h"

namespace microagent::netstack {

using wire::DhcpKind;
using wire::DhcpMessage;
using wire::Ipv4Octets;

namespace {

constexpr Ipv4Octets kNone{};
constexpr Ipv4Octets kEverybody{255, 255, 255, 255};

// RFC 2131, 4.1: where the client hears it. A refusal is for one whose address is not its own, so it goes to everybody.
Ipv4Octets address_for_reply(const DhcpMessage& request, DhcpKind kind, const Ipv4Octets& guest) {
  if (kind == DhcpKind::refuse) return kEverybody;
  if (request.header.client != kNone) return request.header.client;
  return (request.header.flags & wire::DhcpHeader::kBroadcast) != 0 ? kEverybody : guest;
}

}  // namespace

void Dhcp::on_packet(Packet& packet) {
  const auto datagram = take_udp(packet);
  std::array<std::uint8_t, kMaxRequest> bytes;
  if (!datagram || datagram->payload_bytes > bytes.size()) {
    ++environment_.counters.malformed;
    return;
  }
  const std::size_t size = copy_front(datagram->payload, bytes);
  const auto request = wire::parse_dhcp(ByteView(bytes).first(size));
  if (!request) {
    ++environment_.counters.malformed;
    return;
  }
  const Config& config = environment_.config;
  // No relay stands between, and nobody asks for another.
  if (!std::ranges::equal(config.guest_mac, ByteView(request->header.hardware_address).first(6)) ||
      request->header.relay != kNone) {
    ++environment_.counters.spoofed;
    return;
  }
  switch (request->kind) {
    case DhcpKind::discover: return reply(*request, DhcpKind::offer, kLeaseSeconds);
    case DhcpKind::request: return on_request(*request);
    case DhcpKind::inform: return on_inform(*request);
    default: return;  // it gives the address back, or says that it is taken: there is no other
  }
}

void Dhcp::on_request(const DhcpMessage& request) {
  const Config& config = environment_.config;
  if (request.server && *request.server != config.gateway_ip) return;  // it takes another's offer
  // Selecting and after a restart the client names the address; renewing and rebinding it has it.
  const Ipv4Octets wanted = request.requested_address.value_or(request.header.client);
  const bool agreed = wanted == config.guest_ip && (request.header.client == kNone || request.header.client == wanted);
  reply(request, agreed ? DhcpKind::acknowledge : DhcpKind::refuse, kLeaseSeconds);
}

void Dhcp::on_inform(const DhcpMessage& request) {
  if (request.header.client != environment_.config.guest_ip) return;
  reply(request, DhcpKind::acknowledge, 0);
}

void Dhcp::reply(const DhcpMessage& request, DhcpKind kind, std::uint32_t lease_seconds) {
  const Config& config = environment_.config;
  const wire::DhcpTerms terms{.server = config.gateway_ip,
                              .prefix_length = config.prefix_length,
                              .router = config.gateway_ip,
                              .resolvers = std::span(config.dns).first(config.dns_count),
                              .mtu = config.mtu,
                              .lease_seconds = lease_seconds};
  // One who only informs itself has an address already.
  const bool gives_address = kind != DhcpKind::refuse && lease_seconds != 0;
  std::array<std::uint8_t, wire::kMaxDhcpReply> bytes;
  const std::size_t size = encode_dhcp_reply(request, kind, gives_address ? config.guest_ip : kNone, terms, bytes);

  wire::UdpHeader header;
  header.source_port = wire::kDhcpServerPort;
  header.destination_port = wire::kDhcpClientPort;
  header.length = static_cast<std::uint16_t>(sizeof header + size);
  std::array<std::uint8_t, sizeof header> header_bytes;
  std::memcpy(header_bytes.data(), &header, sizeof header);
  const Output::Addresses addresses{wire::IpAddress::ipv4(config.gateway_ip),
                                    wire::IpAddress::ipv4(address_for_reply(request, kind, config.guest_ip))};
  // Without room it is lost, and the client asks again.
  (void)environment_.output.send(addresses, wire::kProtocolUdp, header_bytes, offsetof(wire::UdpHeader, checksum),
                                 ByteView(bytes).first(size));
}

}  // namespace microagent::netstack
