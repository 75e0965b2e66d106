#include "netstack/dhcp6.h"

#include <algorithm>
#include <cstring>

#include "base/pieces.h"
#include "netstack/udp_input.h"
#include "wire/ip.h"
#include "wire/udp.h"

namespace microagent::netstack {

using wire::Dhcp6Kind;
using wire::Dhcp6Message;

namespace {

wire::Dhcp6Identifier identifier_of(const Config& config) {
  wire::Dhcp6Identifier identifier;
  identifier.address = config.gateway_mac;
  return identifier;
}

// RFC 8415, 16: which messages name the server they are for.
bool must_name_server(Dhcp6Kind kind) {
  return kind == Dhcp6Kind::request || kind == Dhcp6Kind::renew || kind == Dhcp6Kind::release ||
         kind == Dhcp6Kind::decline;
}

bool is_for(const Dhcp6Message& request, const wire::Dhcp6Identifier& server) {
  if (request.server_identifier.empty()) return !must_name_server(request.kind);
  const bool may_name = must_name_server(request.kind) || request.kind == Dhcp6Kind::information_request;
  return may_name && std::ranges::equal(request.server_identifier, bytes_of(server));
}

bool wants_address(Dhcp6Kind kind) {
  return kind == Dhcp6Kind::solicit || kind == Dhcp6Kind::request || kind == Dhcp6Kind::renew ||
         kind == Dhcp6Kind::rebind;
}

}  // namespace

void Dhcp6::on_packet(Packet& packet) {
  const wire::IpAddress client = packet.source;
  const auto datagram = take_udp(packet);
  std::array<std::uint8_t, kMaxRequest> bytes;
  if (!datagram || datagram->payload_bytes > bytes.size()) {
    ++environment_.counters.malformed;
    return;
  }
  const std::size_t size = copy_front(datagram->payload, bytes);
  const auto request = wire::parse_dhcp6(ByteView(bytes).first(size));
  if (!request) {
    ++environment_.counters.malformed;
    return;
  }
  if (is_for(*request, identifier_of(environment_.config))) reply(client, *request);
}

void Dhcp6::reply(const wire::IpAddress& to, const Dhcp6Message& request) {
  const Config& config = environment_.config;
  const bool offers = request.kind == Dhcp6Kind::solicit && !request.rapid_commit;
  const wire::Dhcp6Terms terms{
      .server = identifier_of(config),
      .address = config.guest_ip6,
      .resolver = config.gateway_ip6,
      .gives_address = wants_address(request.kind),
      .says_success = !wants_address(request.kind) && request.kind != Dhcp6Kind::information_request};
  std::array<std::uint8_t, wire::kMaxDhcp6Reply> bytes;
  const std::size_t size = encode_dhcp6_reply(request, offers ? Dhcp6Kind::advertise : Dhcp6Kind::reply, terms, bytes);

  wire::UdpHeader header;
  header.source_port = wire::kDhcp6ServerPort;
  header.destination_port = wire::kDhcp6ClientPort;
  header.length = static_cast<std::uint16_t>(sizeof header + size);
  std::array<std::uint8_t, sizeof header> header_bytes;
  std::memcpy(header_bytes.data(), &header, sizeof header);
  (void)environment_.output.send({gateway_link_local(config), to}, wire::kProtocolUdp, header_bytes,
                                 offsetof(wire::UdpHeader, checksum), ByteView(bytes).first(size));
}

}  // namespace microagent::netstack
