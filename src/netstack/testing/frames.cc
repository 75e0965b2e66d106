#include "netstack/testing/frames.h"

#include <arpa/inet.h>

#include <algorithm>

#include "base/check.h"
#include "wire/checksum.h"
#include "wire/udp.h"
#include "wire/virtio.h"

namespace microagent::netstack::testing {
namespace {

bool has_pseudo_header(std::uint8_t protocol) { return protocol != wire::kProtocolIcmp; }

wire::Checksum begin_sum(const wire::IpAddress& source, const wire::IpAddress& destination, std::uint8_t protocol,
                         std::size_t bytes) {
  if (!has_pseudo_header(protocol)) return {};
  return wire::pseudo_header(source, destination, protocol, bytes);
}

void store_be16(MutableBytes bytes, std::size_t at, std::uint16_t value) {
  bytes[at] = static_cast<std::uint8_t>(value >> 8);
  bytes[at + 1] = static_cast<std::uint8_t>(value);
}

std::optional<std::size_t> checksum_offset(std::uint8_t protocol) {
  switch (protocol) {
    case wire::kProtocolTcp: return 16;
    case wire::kProtocolUdp: return offsetof(wire::UdpHeader, checksum);
    case wire::kProtocolIcmp:
    case wire::kProtocolIcmpv6: return offsetof(wire::IcmpHeader, checksum);
    default: return std::nullopt;
  }
}

class Parser {
 public:
  explicit Parser(const Frame& frame) : frame_(frame), reader_(frame.bytes) {}

  Parsed run() {
    if (!reader_.read(out_.ethernet)) return problem("no Ethernet header");
    switch (out_.ethernet.ether_type) {
      case wire::kEtherTypeIpv4: return parse_ipv4();
      case wire::kEtherTypeIpv6: return parse_ipv6();
      default: return parse_other();
    }
  }

 private:
  Parsed problem(std::string what) {
    out_.problem = std::move(what);
    return out_;
  }

  void keep_payload() { out_.payload.assign(reader_.rest().begin(), reader_.rest().end()); }

  Parsed parse_other() {
    if (frame_.offload.flags != 0 || frame_.offload.gso_type != 0) return problem("offload of what is no IP packet");
    keep_payload();
    return out_;
  }

  Parsed parse_ipv4() {
    if (!reader_.read(out_.ipv4)) return problem("short IPv4 header");
    const wire::Ipv4Header& header = out_.ipv4;
    if (header.version_and_length != 0x45) return problem("IPv4 version or length");
    if (header.total_length != frame_.bytes.size() - sizeof(wire::EthernetHeader)) return problem("IPv4 total length");
    wire::Checksum sum;
    sum.add(bytes_of(header));
    if (sum.value() != 0) return problem("IPv4 header checksum");
    out_.source = wire::IpAddress::ipv4(header.source);
    out_.destination = wire::IpAddress::ipv4(header.destination);
    out_.protocol = header.protocol;
    out_.hop_limit = header.time_to_live;
    out_.more_fragments = (header.flags_and_offset & wire::kIpv4MoreFragments) != 0;
    out_.fragment_offset = (header.flags_and_offset & wire::kIpv4OffsetMask) * std::size_t{8};
    out_.is_fragment = out_.more_fragments || out_.fragment_offset != 0;
    out_.identification = header.identification;
    return parse_transport();
  }

  Parsed parse_ipv6() {
    if (!reader_.read(out_.ipv6)) return problem("short IPv6 header");
    const wire::Ipv6Header& header = out_.ipv6;
    if (header.version() != 6) return problem("IPv6 version");
    if (header.payload_length != reader_.left()) return problem("IPv6 payload length");
    out_.source = wire::IpAddress::ipv6(header.source);
    out_.destination = wire::IpAddress::ipv6(header.destination);
    out_.protocol = header.next_header;
    out_.hop_limit = header.hop_limit;
    if (header.next_header == wire::kProtocolFragment) {
      wire::Ipv6FragmentHeader fragment;
      if (!reader_.read(fragment)) return problem("short fragment header");
      out_.protocol = fragment.next_header;
      out_.is_fragment = true;
      out_.more_fragments = fragment.more();
      out_.fragment_offset = fragment.offset();
      out_.identification = fragment.identification;
    }
    return parse_transport();
  }

  Parsed parse_transport() {
    const std::size_t transport_at = frame_.bytes.size() - reader_.left();
    keep_payload();
    if (out_.is_fragment) {
      if (out_.more_fragments && out_.payload.size() % 8 != 0) return problem("fragment of uneven length");
      return frame_.offload.flags == 0 ? out_ : problem("offload of a fragment");
    }
    const auto at = checksum_offset(out_.protocol);
    if (!at) return out_;
    if (out_.payload.size() < *at + 2) return problem("short transport header");
    if ((frame_.offload.flags & wire::kNetHeaderNeedsCsum) != 0) {
      if (frame_.offload.csum_start != transport_at) return problem("csum_start");
      if (frame_.offload.csum_offset != *at) return problem("csum_offset");
      wire::Checksum sum;
      sum.add(out_.payload);
      store_be16(out_.payload, *at, sum.value());
    }
    wire::Checksum sum = begin_sum(out_.source, out_.destination, out_.protocol, out_.payload.size());
    sum.add(out_.payload);
    if (sum.value() != 0) return problem("transport checksum");
    if (out_.protocol == wire::kProtocolUdp) {
      const auto header = header_of<wire::UdpHeader>(out_.payload);
      if (header.length != out_.payload.size()) return problem("UDP length");
      if (header.checksum == 0) return problem("UDP checksum left out");
    }
    return out_;
  }

  const Frame& frame_;
  Reader reader_;
  Parsed out_;
};

}  // namespace

wire::IpAddress ip4(std::uint8_t a, std::uint8_t b, std::uint8_t c, std::uint8_t d) {
  return wire::IpAddress::ipv4({a, b, c, d});
}

wire::IpAddress address_of(const std::string& text) {
  std::array<std::uint8_t, 4> ipv4{};
  if (::inet_pton(AF_INET, text.c_str(), ipv4.data()) == 1) return wire::IpAddress::ipv4(ipv4);
  std::array<std::uint8_t, 16> ipv6{};
  MICROAGENT_CHECK(::inet_pton(AF_INET6, text.c_str(), ipv6.data()) == 1);
  return wire::IpAddress::ipv6(ipv6);
}

Bytes bytes_of_text(std::string_view text) { return {text.begin(), text.end()}; }

std::string text_of(ByteView bytes) { return {bytes.begin(), bytes.end()}; }

Bytes pattern(std::size_t size, std::uint8_t seed) {
  Bytes bytes(size);
  std::uint32_t state = seed;
  for (std::uint8_t& byte : bytes) {
    state = state * 1664525 + 1013904223;
    byte = static_cast<std::uint8_t>(state >> 24);
  }
  return bytes;
}

Bytes joined(std::initializer_list<ByteView> parts) {
  Bytes out;
  for (const ByteView part : parts) out.insert(out.end(), part.begin(), part.end());
  return out;
}

void put_checksum(MutableBytes transport, std::size_t offset, const IpFields& fields) {
  store_be16(transport, offset, 0);
  wire::Checksum sum = begin_sum(fields.source, fields.destination, fields.protocol, transport.size());
  sum.add(transport);
  store_be16(transport, offset, sum.value());
}

void fix_header_checksum(MutableBytes packet) {
  store_be16(packet, offsetof(wire::Ipv4Header, checksum), 0);
  wire::Checksum sum;
  sum.add(packet.first(std::min<std::size_t>(packet.size(), (packet[0] & 0xfU) * 4)));
  store_be16(packet, offsetof(wire::Ipv4Header, checksum), sum.value());
}

Bytes ip_packet(const IpFields& fields, ByteView transport) {
  if (fields.source.is_ipv4()) {
    wire::Ipv4Header header;
    header.version_and_length = static_cast<std::uint8_t>(0x45 + fields.options.size() / 4);
    header.total_length = static_cast<std::uint16_t>(sizeof header + fields.options.size() + transport.size());
    header.identification = fields.identification;
    header.flags_and_offset = fields.flags_and_offset;
    header.time_to_live = fields.hop_limit;
    header.protocol = fields.protocol;
    header.source = fields.source.octets();
    header.destination = fields.destination.octets();
    Bytes packet = joined({bytes_of(header), fields.options, transport});
    fix_header_checksum(packet);
    return packet;
  }
  wire::Ipv6Header header;
  header.payload_length = static_cast<std::uint16_t>(fields.options.size() + transport.size());
  header.next_header = fields.first_header.value_or(fields.protocol);
  header.hop_limit = fields.hop_limit;
  header.source = fields.source.bytes;
  header.destination = fields.destination.bytes;
  return joined({bytes_of(header), fields.options, transport});
}

Bytes ethernet(std::uint16_t ether_type, ByteView payload, const wire::MacAddress& source,
               const wire::MacAddress& destination) {
  const wire::EthernetHeader header{destination, source, ether_type};
  return joined({bytes_of(header), payload});
}

Bytes ip_frame(const IpFields& fields, ByteView transport) {
  return ethernet(fields.source.is_ipv4() ? wire::kEtherTypeIpv4 : wire::kEtherTypeIpv6, ip_packet(fields, transport));
}

Bytes udp_datagram(const UdpEnds& ends, ByteView payload) {
  wire::UdpHeader header;
  header.source_port = ends.source.port;
  header.destination_port = ends.destination.port;
  header.length = static_cast<std::uint16_t>(sizeof header + payload.size());
  Bytes datagram = joined({bytes_of(header), payload});
  put_checksum(datagram, offsetof(wire::UdpHeader, checksum),
               IpFields{.source = ends.source.address, .destination = ends.destination.address});
  return datagram;
}

Bytes udp_frame(const UdpEnds& ends, ByteView payload) {
  return ip_frame({.source = ends.source.address, .destination = ends.destination.address},
                  udp_datagram(ends, payload));
}

Bytes icmp_message(const IpFields& fields, const wire::IcmpHeader& header, ByteView rest) {
  IpFields of_icmp = fields;
  of_icmp.protocol = fields.source.is_ipv4() ? wire::kProtocolIcmp : wire::kProtocolIcmpv6;
  Bytes message = joined({bytes_of(header), rest});
  put_checksum(message, offsetof(wire::IcmpHeader, checksum), of_icmp);
  return message;
}

Bytes echo_message(const IpFields& fields, std::uint8_t type, std::uint16_t identifier, std::uint16_t sequence,
                   ByteView payload) {
  wire::IcmpHeader header;
  header.type = type;
  header.rest = std::uint32_t{identifier} << 16 | sequence;
  return icmp_message(fields, header, payload);
}

Parsed parse(const Frame& frame) { return Parser(frame).run(); }

}  // namespace microagent::netstack::testing
