#include "netstack/ip_input.h"

#include <algorithm>
#include <cstring>

#include "base/pieces.h"
#include "wire/checksum.h"
#include "wire/ethernet.h"
#include "wire/ip.h"
#include "wire/udp.h"
#include "wire/virtio.h"

namespace microagent::netstack {
namespace {

constexpr std::size_t kTcpChecksumOffset = 16;  // RFC 9293, 3.1
// Of datagrams in one packet: what Linux sends at most (UDP_MAX_SEGMENTS). Each costs what one by itself does.
constexpr std::size_t kMaxSegments = 128;
constexpr std::array<std::uint8_t, 4> kNoAddress{};
constexpr std::array<std::uint8_t, 4> kLoopback{127, 0, 0, 1};
constexpr std::uint8_t kLoopbackNet = 127;

std::uint32_t number_of(const std::array<std::uint8_t, 4>& octets) {
  be32 number;
  std::memcpy(&number, octets.data(), sizeof number);
  return number;
}

Reach reach_of_ipv4(const std::array<std::uint8_t, 4>& octets, const Config& config) {
  if (octets == config.gateway_ip) return Reach::gateway;
  if (octets == config.guest_ip || octets == kNoAddress || octets[0] == kLoopbackNet) return Reach::nowhere;
  const std::uint32_t address = number_of(octets);
  const std::uint32_t hosts = config.prefix_length >= 32 ? 0 : ~std::uint32_t{0} >> config.prefix_length;
  const bool neighbour = (address & ~hosts) == (number_of(config.gateway_ip) & ~hosts);
  if (neighbour) return (address & hosts) == hosts ? Reach::everybody : Reach::absent;
  return address == ~std::uint32_t{0} || octets[0] >> 4 == 0xe ? Reach::everybody : Reach::elsewhere;
}

bool shares_prefix(const wire::IpAddress& a, const wire::IpAddress& b, unsigned bits) {
  for (unsigned bit = 0; bit < bits; ++bit) {
    const unsigned mask = 0x80U >> bit % 8;
    if (((a.bytes[bit / 8] ^ b.bytes[bit / 8]) & mask) != 0) return false;
  }
  return true;
}

bool is_link_local6(const wire::IpAddress& address) { return address.bytes[0] == 0xfe && address.bytes[1] >> 6 == 2; }

Reach reach_of_ipv6(const wire::IpAddress& address, const Config& config) {
  const auto gateway = gateway_address(config, wire::IpAddress::Family::ipv6);
  if (address == gateway || address == gateway_link_local(config)) return Reach::gateway;
  if (address.bytes[0] == 0xff) return Reach::everybody;
  if (is_link_local6(address) || shares_prefix(address, gateway, std::min<unsigned>(config.prefix_length6, 128))) {
    return Reach::absent;
  }
  // ::, ::1, and IPv4-mapped addresses: hosts send them as IPv4 (RFC 4038, 4.2).
  constexpr wire::IpAddress kNone = {{}, wire::IpAddress::Family::ipv6};
  constexpr wire::IpAddress kMapped = {{0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0xff, 0xff}, wire::IpAddress::Family::ipv6};
  const bool never_sent = shares_prefix(address, kNone, 127) || shares_prefix(address, kMapped, 96);
  return never_sent ? Reach::nowhere : Reach::elsewhere;
}

std::optional<std::size_t> checksum_offset_of(std::uint8_t protocol) {
  switch (protocol) {
    case wire::kProtocolTcp: return kTcpChecksumOffset;
    case wire::kProtocolUdp: return offsetof(wire::UdpHeader, checksum);
    default: return std::nullopt;
  }
}

// How a packet is segmented that is too large for the wire; 0: none of its kind is.
std::uint8_t gso_type_of(const Packet& packet) {
  switch (packet.protocol) {
    case wire::kProtocolTcp: return packet.source.is_ipv4() ? wire::kNetHeaderGsoTcp4 : wire::kNetHeaderGsoTcp6;
    case wire::kProtocolUdp: return wire::kNetHeaderGsoUdp;
    default: return wire::kNetHeaderGsoNone;
  }
}

}  // namespace

Reach reach_of(const wire::IpAddress& destination, const Config& config) {
  return destination.is_ipv4() ? reach_of_ipv4(destination.octets(), config) : reach_of_ipv6(destination, config);
}

bool stays_on_link(const wire::IpAddress& destination) {
  if (!destination.is_ipv4()) return destination.bytes[0] == 0xff && (destination.bytes[1] & 0xf) <= 2;
  const auto octets = destination.octets();
  constexpr std::uint32_t kLocalGroups = 0xe00000;  // 224.0.0.0/24
  return number_of(octets) == ~std::uint32_t{0} || number_of(octets) >> 8 == kLocalGroups;
}

bool asks_for_offload(const Offload& offload) {
  return (offload.flags & wire::kNetHeaderNeedsCsum) != 0 || offload.gso_type != wire::kNetHeaderGsoNone;
}

bool offload_fits(const Packet& packet, std::size_t transport_at) {
  const Offload& offload = packet.offload;
  const bool needs_checksum = (offload.flags & wire::kNetHeaderNeedsCsum) != 0;
  if (needs_checksum) {
    const auto checksum_at = checksum_offset_of(packet.protocol);
    if (!checksum_at || offload.csum_offset != *checksum_at || offload.csum_start != transport_at) return false;
    if (packet.bytes < *checksum_at + sizeof(be16)) return false;
  }
  if (offload.gso_type == wire::kNetHeaderGsoNone) return true;
  if (offload.gso_type != gso_type_of(packet) || !needs_checksum || offload.gso_size == 0) return false;
  if (packet.protocol == wire::kProtocolTcp) return true;
  return packet.bytes <= sizeof(wire::UdpHeader) + kMaxSegments * offload.gso_size;
}

// The guest may take any address of the prefix that no other has (RFC 4862, RFC 8981). From a link-local address it
// speaks to the link only, and from none while it looks whether an address is taken.
bool IpInput::has_good_source6(const Packet& packet) const {
  const Config& config = environment_.config;
  constexpr wire::IpAddress kNone{{}, wire::IpAddress::Family::ipv6};
  const Reach reach = reach_of(packet.destination, config);
  if (packet.source == kNone) return packet.protocol == wire::kProtocolIcmpv6 && reach == Reach::everybody;
  if (reach_of(packet.source, config) != Reach::absent) return false;
  return !is_link_local6(packet.source) || reach == Reach::gateway || reach == Reach::everybody;
}

// The guest speaks for itself. Before it knows its address it has none, and only DHCP hears it; answers to flows that
// were dialled to its loopback come from there, and only the gateway dials.
bool IpInput::has_good_source(const Packet& packet) const {
  const auto source = packet.source.octets();
  if (source == environment_.config.guest_ip) return true;
  const Reach reach = reach_of(packet.destination, environment_.config);
  if (source == kNoAddress) return packet.protocol == wire::kProtocolUdp && reach == Reach::everybody;
  return source == kLoopback && reach == Reach::gateway;
}

std::optional<Packet> IpInput::take_ipv4(std::span<iovec> pieces, std::size_t bytes, const Offload& offload) {
  Stack::Counters& counters = environment_.counters;
  const auto malformed = [&counters]() -> std::optional<Packet> { return ++counters.malformed, std::nullopt; };
  wire::Ipv4Header header;
  if (bytes < sizeof header) return malformed();
  pieces = take_front(pieces, sizeof header, header_.data());
  std::memcpy(&header, header_.data(), sizeof header);
  const std::size_t header_bytes = header.header_bytes();
  const std::size_t total = header.total_length;
  if (header.version() != 4 || header_bytes < sizeof header || header_bytes > total || total > bytes)
    return malformed();
  pieces = take_front(pieces, header_bytes - sizeof header, header_.data() + sizeof header);
  wire::Checksum sum;
  sum.add(ByteView(header_).first(header_bytes));
  if (sum.value() != 0) return malformed();

  Packet packet;
  packet.source = wire::IpAddress::ipv4(header.source);
  packet.destination = wire::IpAddress::ipv4(header.destination);
  packet.protocol = header.protocol;
  packet.hop_limit = header.time_to_live;
  packet.bytes = total - header_bytes;
  packet.payload = keep_front(pieces, packet.bytes);
  packet.dont_fragment = (header.flags_and_offset & wire::kIpv4DontFragment) != 0;
  packet.offload = offload;
  packet.network_header = ByteView(header_).first(header_bytes);
  if (!has_good_source(packet)) return ++counters.spoofed, std::nullopt;
  const bool more = (header.flags_and_offset & wire::kIpv4MoreFragments) != 0;
  const std::size_t offset = (header.flags_and_offset & wire::kIpv4OffsetMask) * wire::kFragmentUnit;
  if (more || offset != 0) {
    // Nothing can be left to do for a part of a datagram.
    if (asks_for_offload(offload)) return malformed();
    return fragments_.add(packet, {header.identification, offset, more});
  }
  if (!offload_fits(packet, sizeof(wire::EthernetHeader) + header_bytes)) return malformed();
  packet.checksum_left_out = (offload.flags & wire::kNetHeaderNeedsCsum) != 0;
  return packet;
}

}  // namespace microagent::netstack
