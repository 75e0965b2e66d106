#pragma once

// Builders and a strict parser of frames.

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "netstack/stack.h"
#include "wire/ethernet.h"
#include "wire/icmp.h"
#include "wire/ip.h"

namespace microagent::netstack::testing {

using Bytes = std::vector<std::uint8_t>;

inline constexpr wire::MacAddress kGuestMac{0x02, 0, 0, 0, 0, 2};
inline constexpr wire::MacAddress kGatewayMac{0x02, 0, 0, 0, 0, 1};
inline constexpr wire::MacAddress kBroadcastMac{0xff, 0xff, 0xff, 0xff, 0xff, 0xff};

wire::IpAddress ip4(std::uint8_t a, std::uint8_t b, std::uint8_t c, std::uint8_t d);
// As inet_pton(3) reads it, either family.
wire::IpAddress address_of(const std::string& text);

Bytes bytes_of_text(std::string_view text);
std::string text_of(ByteView bytes);
// `size` bytes that differ from place to place.
Bytes pattern(std::size_t size, std::uint8_t seed = 1);
Bytes joined(std::initializer_list<ByteView> parts);

// ---- Building ----

struct IpFields {
  wire::IpAddress source, destination;
  std::uint8_t protocol = wire::kProtocolUdp;
  std::uint8_t hop_limit = 64;
  std::uint16_t identification = 1;  // IPv4
  std::uint16_t flags_and_offset = wire::kIpv4DontFragment;
  Bytes options;                             // IPv4: whole words; IPv6: what stands between header and transport
  std::optional<std::uint8_t> first_header;  // IPv6: of `options`
};

// Headers in front of `transport`, lengths and header checksum right.
Bytes ip_packet(const IpFields& fields, ByteView transport);
// The IPv4 header checksum made anew, after a test has changed the header.
void fix_header_checksum(MutableBytes packet);
Bytes ethernet(std::uint16_t ether_type, ByteView payload, const wire::MacAddress& source = kGuestMac,
               const wire::MacAddress& destination = kGatewayMac);
// ip_packet in an Ethernet frame.
Bytes ip_frame(const IpFields& fields, ByteView transport);

// Puts the checksum of the whole `transport` at `offset`, pseudo header counted where the protocol has one.
void put_checksum(MutableBytes transport, std::size_t offset, const IpFields& fields);

struct UdpEnds {
  Endpoint source, destination;
};
Bytes udp_datagram(const UdpEnds& ends, ByteView payload);
Bytes udp_frame(const UdpEnds& ends, ByteView payload);
Bytes echo_message(const IpFields& fields, std::uint8_t type, std::uint16_t identifier, std::uint16_t sequence,
                   ByteView payload);
// An ICMP or ICMPv6 message of any kind. `fields` give the family.
Bytes icmp_message(const IpFields& fields, const wire::IcmpHeader& header, ByteView rest);

// ---- Parsing ----

struct Frame {
  Bytes bytes;
  Offload offload;
};

struct Parsed {
  std::string problem;  // empty when the frame is right in every checksum and length
  wire::EthernetHeader ethernet;
  wire::Ipv4Header ipv4;
  wire::Ipv6Header ipv6;
  wire::IpAddress source, destination;
  std::uint8_t protocol = 0;
  std::uint8_t hop_limit = 0;
  // Of a fragment, either family; its checksum is not verified.
  bool is_fragment = false, more_fragments = false;
  std::size_t fragment_offset = 0;
  std::uint32_t identification = 0;
  Bytes payload;  // behind the IP header; the Ethernet payload of other frames; a partial checksum completed
};

// Checks what Linux would check, and that a checksum that was left to the guest is where it belongs.
Parsed parse(const Frame& frame);

template <typename Header>
Header header_of(ByteView bytes, std::size_t at = 0) {
  Header header{};
  if (bytes.size() >= at + sizeof header) std::memcpy(&header, bytes.data() + at, sizeof header);
  return header;
}

}  // namespace microagent::netstack::testing
