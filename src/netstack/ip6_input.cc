// IpInput: IPv6 and its extension headers (RFC 8200).

#include <cstring>

#include "base/pieces.h"
#include "netstack/ip_input.h"
#include "wire/ethernet.h"
#include "wire/ip.h"
#include "wire/virtio.h"

namespace microagent::netstack {
namespace {

// As many as anybody needs to understand (RFC 8504, 5.3).
constexpr int kMaxExtensions = 8;

// The first bytes of every extension header; the whole has `units` + 1 units of 8 bytes.
struct Extension {
  std::uint8_t next_header = 0;
  std::uint8_t units = 0;
  std::uint8_t routing_type = 0;
  std::uint8_t segments_left = 0;
  std::array<std::uint8_t, 4> rest{};
};
static_assert(sizeof(Extension) == 8 && sizeof(wire::Ipv6FragmentHeader) == sizeof(Extension));

bool is_extension(std::uint8_t protocol) {
  return protocol == wire::kProtocolHopByHop || protocol == wire::kProtocolRouting ||
         protocol == wire::kProtocolFragment || protocol == wire::kProtocolDestinationOptions;
}

}  // namespace

std::optional<Packet> IpInput::take_ipv6(std::span<iovec> pieces, std::size_t bytes, const Offload& offload) {
  Stack::Counters& counters = environment_.counters;
  wire::Ipv6Header header;
  if (bytes < sizeof header) return ++counters.malformed, std::nullopt;
  pieces = take_front(pieces, sizeof header, header_.data());
  std::memcpy(&header, header_.data(), sizeof header);
  const std::size_t payload_bytes = header.payload_length;
  if (header.version() != 6 || payload_bytes > bytes - sizeof header) return ++counters.malformed, std::nullopt;

  Packet packet;
  packet.source = wire::IpAddress::ipv6(header.source);
  packet.destination = wire::IpAddress::ipv6(header.destination);
  packet.protocol = header.next_header;
  packet.hop_limit = header.hop_limit;
  packet.bytes = payload_bytes;
  packet.payload = keep_front(pieces, payload_bytes);
  packet.dont_fragment = true;
  packet.offload = offload;
  packet.network_header = ByteView(header_).first(sizeof header);
  auto whole = walk_extensions(packet, sizeof(wire::EthernetHeader) + sizeof header);
  if (!whole) return std::nullopt;
  if (!has_good_source6(*whole)) return ++counters.spoofed, std::nullopt;

  // The header as it would be without the others.
  std::memcpy(&header, whole->network_header.data(), sizeof header);
  header.next_header = whole->protocol;
  header.payload_length = static_cast<std::uint16_t>(whole->bytes);
  std::memcpy(header_.data(), &header, sizeof header);
  whole->network_header = ByteView(header_).first(sizeof header);
  return whole;
}

std::optional<Packet> IpInput::walk_extensions(Packet packet, std::size_t transport_at) {
  const auto malformed = [this]() -> std::optional<Packet> { return ++environment_.counters.malformed, std::nullopt; };
  bool joined = false;
  for (int count = 0; is_extension(packet.protocol); ++count) {
    // Options of hops stand first, or not at all.
    if (count == kMaxExtensions || (packet.protocol == wire::kProtocolHopByHop && count > 0)) return malformed();
    Extension extension;
    if (packet.bytes < sizeof extension) return malformed();
    packet.payload = take_front(packet.payload, sizeof extension, reinterpret_cast<std::uint8_t*>(&extension));
    packet.bytes -= sizeof extension;
    transport_at += sizeof extension;
    if (packet.protocol == wire::kProtocolFragment) {
      wire::Ipv6FragmentHeader fragment;
      std::memcpy(&fragment, &extension, sizeof fragment);
      packet.protocol = fragment.next_header;
      // One that is the whole is none (RFC 6946).
      if (fragment.offset() == 0 && !fragment.more()) continue;
      if (joined || asks_for_offload(packet.offload)) return malformed();
      if (!has_good_source6(packet)) return ++environment_.counters.spoofed, std::nullopt;
      auto whole = fragments_.add(packet, {fragment.identification, fragment.offset(), fragment.more()});
      if (!whole) return std::nullopt;
      packet = *whole;
      joined = true;
      continue;
    }
    const std::size_t rest = extension.units * std::size_t{8};
    const bool has_route = packet.protocol == wire::kProtocolRouting && extension.segments_left != 0;
    if (rest > packet.bytes || has_route) return malformed();
    packet.payload = take_front(packet.payload, rest, nullptr);
    packet.bytes -= rest;
    transport_at += rest;
    packet.protocol = extension.next_header;
  }
  if (!offload_fits(packet, transport_at)) return malformed();
  packet.checksum_left_out = (packet.offload.flags & wire::kNetHeaderNeedsCsum) != 0;
  return packet;
}

}  // namespace microagent::netstack
