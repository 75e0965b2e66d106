#pragma once

// ICMP (RFC 792, RFC 1191, RFC 1812) and ICMPv6 (RFC 4443): one layout, two sets of numbers.

#include <cstdint>

#include "base/bytes.h"

namespace microagent::wire {

inline constexpr std::uint8_t kIcmpEchoReply = 0;
inline constexpr std::uint8_t kIcmpUnreachable = 3;
inline constexpr std::uint8_t kIcmpEchoRequest = 8;
inline constexpr std::uint8_t kIcmpTimeExceeded = 11;
inline constexpr std::uint8_t kIcmpParameterProblem = 12;

// Codes of kIcmpUnreachable.
inline constexpr std::uint8_t kIcmpNet = 0;
inline constexpr std::uint8_t kIcmpHost = 1;
inline constexpr std::uint8_t kIcmpProtocol = 2;
inline constexpr std::uint8_t kIcmpPort = 3;
inline constexpr std::uint8_t kIcmpFragmentationNeeded = 4;
inline constexpr std::uint8_t kIcmpAdminProhibited = 13;

inline constexpr std::uint8_t kIcmpv6Unreachable = 1;
inline constexpr std::uint8_t kIcmpv6PacketTooBig = 2;
inline constexpr std::uint8_t kIcmpv6TimeExceeded = 3;
inline constexpr std::uint8_t kIcmpv6ParameterProblem = 4;
inline constexpr std::uint8_t kIcmpv6EchoRequest = 128;
inline constexpr std::uint8_t kIcmpv6EchoReply = 129;

// Codes of kIcmpv6Unreachable.
inline constexpr std::uint8_t kIcmpv6NoRoute = 0;
inline constexpr std::uint8_t kIcmpv6AdminProhibited = 1;
inline constexpr std::uint8_t kIcmpv6Address = 3;
inline constexpr std::uint8_t kIcmpv6Port = 4;

// Codes of a time exceeded, both families.
inline constexpr std::uint8_t kIcmpInTransit = 0;
inline constexpr std::uint8_t kIcmpReassembly = 1;

struct IcmpHeader {
  std::uint8_t type = 0;
  std::uint8_t code = 0;
  be16 checksum;
  be32 rest;  // by type; the MTU of "too big"
};
static_assert(sizeof(IcmpHeader) == 8 && alignof(IcmpHeader) == 1);

struct IcmpEchoHeader {
  std::uint8_t type = 0;
  std::uint8_t code = 0;
  be16 checksum;
  be16 identifier;
  be16 sequence;
};
static_assert(sizeof(IcmpEchoHeader) == 8 && alignof(IcmpEchoHeader) == 1);

}  // namespace microagent::wire
