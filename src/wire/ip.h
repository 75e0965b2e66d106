#pragma once

// The fixed headers of IPv4 (RFC 791) and IPv6 (RFC 8200).

#include <array>
#include <cstdint>

#include "base/bytes.h"

namespace microagent::wire {

// Protocol numbers (IANA), and IPv6's next headers.
inline constexpr std::uint8_t kProtocolHopByHop = 0;
inline constexpr std::uint8_t kProtocolIcmp = 1;
inline constexpr std::uint8_t kProtocolTcp = 6;
inline constexpr std::uint8_t kProtocolUdp = 17;
inline constexpr std::uint8_t kProtocolRouting = 43;
inline constexpr std::uint8_t kProtocolFragment = 44;
inline constexpr std::uint8_t kProtocolIcmpv6 = 58;
inline constexpr std::uint8_t kProtocolNoNext = 59;
inline constexpr std::uint8_t kProtocolDestinationOptions = 60;

inline constexpr std::uint16_t kIpv4DontFragment = 0x4000;
inline constexpr std::uint16_t kIpv4MoreFragments = 0x2000;
inline constexpr std::uint16_t kIpv4OffsetMask = 0x1fff;  // in units of kFragmentUnit
inline constexpr std::size_t kFragmentUnit = 8;

struct Ipv4Header {
  std::uint8_t version_and_length = 0x45;  // version, then header length in 32-bit words
  std::uint8_t type_of_service = 0;
  be16 total_length;
  be16 identification;
  be16 flags_and_offset;
  std::uint8_t time_to_live = 64;
  std::uint8_t protocol = 0;
  be16 checksum;
  std::array<std::uint8_t, 4> source{};
  std::array<std::uint8_t, 4> destination{};

  unsigned version() const { return version_and_length >> 4; }
  std::size_t header_bytes() const { return (version_and_length & 0xfU) * 4; }
};
static_assert(sizeof(Ipv4Header) == 20 && alignof(Ipv4Header) == 1);

struct Ipv6Header {
  be32 version_class_flow{0x60000000U};
  be16 payload_length;
  std::uint8_t next_header = 0;
  std::uint8_t hop_limit = 64;
  std::array<std::uint8_t, 16> source{};
  std::array<std::uint8_t, 16> destination{};

  unsigned version() const { return version_class_flow >> 28; }
};
static_assert(sizeof(Ipv6Header) == 40 && alignof(Ipv6Header) == 1);

// RFC 8200, 4.5.
struct Ipv6FragmentHeader {
  std::uint8_t next_header = 0;
  std::uint8_t reserved = 0;
  be16 offset_and_more;  // bytes, the lowest bit of the last unit: more follow
  be32 identification;

  std::size_t offset() const { return offset_and_more & ~std::size_t{kFragmentUnit - 1}; }
  bool more() const { return (offset_and_more & 1U) != 0; }
};
static_assert(sizeof(Ipv6FragmentHeader) == 8 && alignof(Ipv6FragmentHeader) == 1);

}  // namespace microagent::wire
