#include "netstack/icmp.h"

#include <cstring>

#include "base/pieces.h"
#include "wire/ip.h"

namespace microagent::netstack {
namespace {

// The header of the packet that an error quotes, told apart from what follows it.
bool take_inner_header(Reader& reader, bool ipv4, GuestError& out) {
  if (ipv4) {
    wire::Ipv4Header header;
    if (!reader.read(header) || header.version() != 4 || header.header_bytes() < sizeof header) return false;
    if ((header.flags_and_offset & wire::kIpv4OffsetMask) != 0) return false;
    out.protocol = header.protocol;
    out.from = wire::IpAddress::ipv4(header.source);
    out.to = wire::IpAddress::ipv4(header.destination);
    return reader.skip(header.header_bytes() - sizeof header);
  }
  wire::Ipv6Header header;
  if (!reader.read(header) || header.version() != 6) return false;
  out.protocol = header.next_header;
  out.from = wire::IpAddress::ipv6(header.source);
  out.to = wire::IpAddress::ipv6(header.destination);
  return true;
}

bool is_error(std::uint8_t type, bool ipv4) {
  if (!ipv4) return type >= wire::kIcmpv6Unreachable && type <= wire::kIcmpv6ParameterProblem;
  return type == wire::kIcmpUnreachable || type == wire::kIcmpTimeExceeded || type == wire::kIcmpParameterProblem;
}

bool says_unreachable(const IcmpError& error, bool ipv4) {
  if (!ipv4) return error.type == wire::kIcmpv6Unreachable;
  return error.type == wire::kIcmpUnreachable && error.code != wire::kIcmpFragmentationNeeded;
}

}  // namespace

Icmp::Kind Icmp::on_packet(Packet& packet, bool to_gateway, GuestError& error) {
  const bool ipv4 = packet.source.is_ipv4();
  wire::IcmpHeader header;
  if (packet.bytes < sizeof header || !checksum_ok(packet)) {
    ++environment_.counters.malformed;
    return Kind::done;
  }
  const std::size_t copied = copy_front(packet.payload, message_);
  std::memcpy(&header, message_.data(), sizeof header);
  if (header.type == (ipv4 ? wire::kIcmpEchoRequest : wire::kIcmpv6EchoRequest) && header.code == 0) {
    if (!to_gateway) return Kind::echo_elsewhere;
    answer_echo(packet);
    return Kind::done;
  }
  if (!is_error(header.type, ipv4)) {
    ++environment_.counters.unsupported;
    return Kind::done;
  }
  error.error = {header.type, header.code, header.rest};
  error.unreachable = says_unreachable(error.error, ipv4);
  Reader reader(ByteView(message_).subspan(sizeof header, copied - sizeof header));
  if (!take_inner_header(reader, ipv4, error) || reader.left() < 8 || error.to != packet.source) {
    ++environment_.counters.malformed;
    return Kind::done;
  }
  error.quoted = reader.rest();
  return Kind::error;
}

void Icmp::answer_echo(Packet& packet) {
  const bool ipv4 = packet.source.is_ipv4();
  const MutableBytes message = environment_.output.scratch().first(packet.bytes);
  take_front(packet.payload, packet.bytes, message.data());
  wire::IcmpHeader header;
  std::memcpy(&header, message.data(), sizeof header);
  header.type = ipv4 ? wire::kIcmpEchoReply : wire::kIcmpv6EchoReply;
  header.code = 0;
  header.checksum = 0;
  std::memcpy(message.data(), &header, sizeof header);
  (void)environment_.output.send_datagram({packet.destination, packet.source},
                                          ipv4 ? wire::kProtocolIcmp : wire::kProtocolIcmpv6, message,
                                          offsetof(wire::IcmpHeader, checksum));
}

}  // namespace microagent::netstack
