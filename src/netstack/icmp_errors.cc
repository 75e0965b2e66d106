#include "netstack/icmp_errors.h"

#include <algorithm>
#include <array>
#include <cstring>

#include "base/pieces.h"
#include "wire/icmp.h"
#include "wire/ip.h"

namespace microagent::netstack {
namespace {

constexpr std::uint64_t kSecondNs = 1'000'000'000;

struct Ends {
  wire::IpAddress source, destination;
};

// A quote begins with a whole IP header, since quote_of made it.
Ends ends_of(ByteView quoted) {
  Reader reader(quoted);
  if (quoted[0] >> 4 == 4) {
    wire::Ipv4Header header;
    if (!reader.read(header)) return {};
    return {wire::IpAddress::ipv4(header.source), wire::IpAddress::ipv4(header.destination)};
  }
  wire::Ipv6Header header;
  if (!reader.read(header)) return {};
  return {wire::IpAddress::ipv6(header.source), wire::IpAddress::ipv6(header.destination)};
}

}  // namespace

IcmpError error_of(Refusal refusal, Family family) {
  const bool ipv4 = family == Family::ipv4;
  const auto unreachable = [ipv4](std::uint8_t code4, std::uint8_t code6) {
    return ipv4 ? IcmpError{wire::kIcmpUnreachable, code4} : IcmpError{wire::kIcmpv6Unreachable, code6};
  };
  switch (refusal) {
    case Refusal::net_unreachable: return unreachable(wire::kIcmpNet, wire::kIcmpv6NoRoute);
    case Refusal::host_unreachable: return unreachable(wire::kIcmpHost, wire::kIcmpv6Address);
    case Refusal::admin_prohibited: return unreachable(wire::kIcmpAdminProhibited, wire::kIcmpv6AdminProhibited);
    case Refusal::reset:
    case Refusal::port_unreachable: break;
  }
  return unreachable(wire::kIcmpPort, wire::kIcmpv6Port);
}

IcmpError too_big(std::uint32_t mtu, Family family) {
  if (family == Family::ipv6) return {wire::kIcmpv6PacketTooBig, 0, mtu};
  return {wire::kIcmpUnreachable, wire::kIcmpFragmentationNeeded, std::min(mtu, 0xffffU)};
}

IcmpError time_exceeded(std::uint8_t code, Family family) {
  return {family == Family::ipv4 ? wire::kIcmpTimeExceeded : wire::kIcmpv6TimeExceeded, code};
}

bool IcmpErrors::send(const Quote& quote, Refusal refusal) {
  if (quote.size == 0) return false;
  const Ends ends = ends_of(quote.view());
  // That a port is closed is for its host to say; everything else is said by the router.
  const bool by_host = refusal == Refusal::reset || refusal == Refusal::port_unreachable;
  return send_quoted(quote.view(), error_of(refusal, ends.source.family),
                     by_host ? std::optional(ends.destination) : std::nullopt);
}

bool IcmpErrors::send(const Quote& quote, const IcmpError& error, const std::optional<wire::IpAddress>& from) {
  if (quote.size == 0) return false;
  return send_quoted(quote.view(), error, from);
}

bool IcmpErrors::send(const Packet& packet, const IcmpError& error) {
  std::array<std::uint8_t, kMaxPacket6> quoted;
  const bool ipv4 = packet.source.is_ipv4();
  const std::size_t limit = ipv4 ? kMaxPacket4 - sizeof(wire::Ipv4Header) - sizeof(wire::IcmpHeader)
                                 : kMaxPacket6 - sizeof(wire::Ipv6Header) - sizeof(wire::IcmpHeader);
  const std::size_t header_bytes = packet.network_header.size();
  std::ranges::copy(packet.network_header, quoted.begin());
  const std::size_t copied =
      copy_front(packet.payload, MutableBytes(quoted).subspan(header_bytes, limit - header_bytes));
  return send_quoted(ByteView(quoted).first(header_bytes + copied), error, std::nullopt);
}

bool IcmpErrors::take_token() {
  const std::uint64_t now = environment_.now_ns;
  constexpr std::uint64_t kInterval = kSecondNs / kPerSecond;
  const std::uint64_t earned = (now - refilled_ns_) / kInterval;
  if (earned > 0) {
    tokens_ = std::min(kBurst, tokens_ + earned);
    refilled_ns_ += earned * kInterval;
  }
  if (tokens_ == 0) return false;
  --tokens_;
  return true;
}

bool IcmpErrors::send_quoted(ByteView quoted, const IcmpError& error, const std::optional<wire::IpAddress>& from) {
  if (!take_token()) return false;
  const Ends ends = ends_of(quoted);
  const bool ipv4 = ends.source.is_ipv4();
  wire::IcmpHeader header;
  header.type = error.type;
  header.code = error.code;
  header.rest = error.rest;
  std::array<std::uint8_t, sizeof header> bytes;
  std::memcpy(bytes.data(), &header, sizeof header);
  const Output::Addresses addresses{from.value_or(gateway_address(environment_.config, ends.source.family)),
                                    ends.source};
  return environment_.output.send(addresses, ipv4 ? wire::kProtocolIcmp : wire::kProtocolIcmpv6, bytes,
                                  offsetof(wire::IcmpHeader, checksum), quoted);
}

}  // namespace microagent::netstack
