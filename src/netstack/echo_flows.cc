#include "netstack/echo_flows.h"

#include <cstring>

#include "base/pieces.h"
#include "wire/icmp.h"
#include "wire/ip.h"

namespace microagent::netstack {
namespace {

using wire::IcmpEchoHeader;

// One's complement subtraction and addition (RFC 1624, equation 3).
std::uint16_t changed_checksum(std::uint16_t checksum, std::uint16_t before, std::uint16_t after) {
  std::uint32_t sum = static_cast<std::uint16_t>(~checksum);
  sum += static_cast<std::uint16_t>(~before);
  sum += after;
  while (sum > 0xffff) sum = (sum & 0xffff) + (sum >> 16);
  return static_cast<std::uint16_t>(~sum);
}

// Where the ICMP header stands in a quote.
std::size_t header_offset(const Quote& quote) {
  const bool ipv4 = quote.bytes[0] >> 4 == 4;
  return ipv4 ? (quote.bytes[0] & 0xfU) * 4 : sizeof(wire::Ipv6Header);
}

}  // namespace

EchoFlows::EchoFlows(Environment& environment)
    : DatagramFlows(environment,
                    Shape{Kind::echo, Protocol::icmp_echo, sizeof(IcmpEchoHeader), environment.config.max_flows / 16}) {
}

void EchoFlows::on_request(Packet& packet) {
  const Quote quote = quote_of(packet);
  IcmpEchoHeader header;
  const auto payload = take_front(packet.payload, sizeof header, reinterpret_cast<std::uint8_t*>(&header));
  const std::uint16_t identifier = header.identifier;
  const DatagramKey key{{packet.source, identifier}, {packet.destination, 0}};
  // Identifier and checksum are the kernel's to fill in.
  header.identifier = 0;
  header.checksum = 0;
  HostDatagram datagram{.head_bytes = sizeof header,
                        .payload = payload,
                        .payload_bytes = packet.bytes - sizeof header,
                        .hop_limit = packet.hop_limit,
                        .dont_fragment = packet.dont_fragment};
  std::memcpy(datagram.head.data(), &header, sizeof header);
  take_datagram(key, packet, quote, datagram);
}

EchoFlows::GuestHeader EchoFlows::header_for_guest(const DatagramFlow& flow, ByteView head, std::size_t) const {
  const bool ipv4 = flow.key.guest.address.is_ipv4();
  IcmpEchoHeader received;
  Reader reader(head);
  (void)reader.read(received);
  IcmpEchoHeader header;
  header.type = ipv4 ? wire::kIcmpEchoReply : wire::kIcmpv6EchoReply;
  header.identifier = flow.key.guest.port;
  header.sequence = received.sequence;
  GuestHeader out{.protocol = ipv4 ? wire::kProtocolIcmp : wire::kProtocolIcmpv6,
                  .checksum_offset = offsetof(IcmpEchoHeader, checksum)};
  std::memcpy(out.bytes.data(), &header, sizeof header);
  return out;
}

// The kernel quotes the request, in which the identifier is its own. What tells requests apart is their sequence.
Quote EchoFlows::quote_for(const DatagramFlow& flow, const SocketError& error) const {
  Quote quote = flow.quote;
  const std::size_t at = header_offset(quote);
  if (error.quoted_bytes < sizeof(IcmpEchoHeader) || at + sizeof(IcmpEchoHeader) > quote.size) return quote;
  IcmpEchoHeader reported, header;
  std::memcpy(&reported, error.quoted.data(), sizeof reported);
  std::memcpy(&header, quote.bytes.data() + at, sizeof header);
  header.checksum = changed_checksum(header.checksum, header.sequence, reported.sequence);
  header.sequence = reported.sequence;
  std::memcpy(quote.bytes.data() + at, &header, sizeof header);
  return quote;
}

}  // namespace microagent::netstack
