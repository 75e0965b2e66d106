#pragma once

// Neighbour discovery (RFC 4861, RFC 8106): what stands behind the ICMPv6 header's first four bytes.

#include <array>
#include <cstdint>

#include "base/bytes.h"
#include "wire/ethernet.h"

namespace microagent::wire {

inline constexpr std::uint8_t kNdpRouterSolicitation = 133;
inline constexpr std::uint8_t kNdpRouterAdvertisement = 134;
inline constexpr std::uint8_t kNdpNeighbourSolicitation = 135;
inline constexpr std::uint8_t kNdpNeighbourAdvertisement = 136;
inline constexpr std::uint8_t kNdpRedirect = 137;

// Of every message: a packet that came from farther away has less.
inline constexpr std::uint8_t kNdpHopLimit = 255;

using Ipv6Octets = std::array<std::uint8_t, 16>;

struct NdpRouterSolicitation {
  std::uint8_t type = kNdpRouterSolicitation;
  std::uint8_t code = 0;
  be16 checksum;
  be32 reserved;
};
static_assert(sizeof(NdpRouterSolicitation) == 8);

struct NdpRouterAdvertisement {
  static constexpr std::uint8_t kManaged = 0x80, kOther = 0x40;

  std::uint8_t type = kNdpRouterAdvertisement;
  std::uint8_t code = 0;
  be16 checksum;
  std::uint8_t hop_limit = 64;
  std::uint8_t flags = 0;
  be16 router_lifetime;                      // seconds
  be32 reachable_time, retransmission_time;  // ms; 0: the host's own choice
};
static_assert(sizeof(NdpRouterAdvertisement) == 16);

// A solicitation or an advertisement.
struct NdpNeighbour {
  static constexpr std::uint32_t kRouter = 0x8000'0000, kSolicited = 0x4000'0000, kOverride = 0x2000'0000;

  std::uint8_t type = 0;
  std::uint8_t code = 0;
  be16 checksum;
  be32 flags;
  Ipv6Octets target{};
};
static_assert(sizeof(NdpNeighbour) == 24);

// Options, lengths in units of 8 bytes.
struct NdpLinkAddress {
  static constexpr std::uint8_t kSource = 1, kTarget = 2;

  std::uint8_t type = 0;
  std::uint8_t length = 1;
  MacAddress address{};
};
static_assert(sizeof(NdpLinkAddress) == 8);

struct NdpPrefix {
  static constexpr std::uint8_t kType = 3, kOnLink = 0x80, kAutonomous = 0x40;

  std::uint8_t type = kType;
  std::uint8_t length = 4;
  std::uint8_t prefix_length = 64;
  std::uint8_t flags = 0;
  be32 valid_lifetime = 0xffff'ffff;
  be32 preferred_lifetime = 0xffff'ffff;
  be32 reserved;
  Ipv6Octets prefix{};
};
static_assert(sizeof(NdpPrefix) == 32);

struct NdpMtu {
  std::uint8_t type = 5;
  std::uint8_t length = 1;
  be16 reserved;
  be32 mtu;
};
static_assert(sizeof(NdpMtu) == 8);

struct NdpResolver {
  std::uint8_t type = 25;
  std::uint8_t length = 3;
  be16 reserved;
  be32 lifetime = 0xffff'ffff;
  Ipv6Octets resolver{};
};
static_assert(sizeof(NdpResolver) == 24);

// `right`: they fill the bytes exactly, and none has the length 0.
struct NdpOptions {
  bool right = false, has_source_address = false;
};
NdpOptions look_at_ndp_options(ByteView bytes);

}  // namespace microagent::wire
