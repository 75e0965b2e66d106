#pragma once

// DHCP for IPv4: RFC 2131 and the options of RFC 2132 that a guest needs.

#include <array>
#include <cstdint>
#include <optional>
#include <span>

#include "base/bytes.h"

namespace microagent::wire {

inline constexpr std::uint16_t kDhcpServerPort = 67;
inline constexpr std::uint16_t kDhcpClientPort = 68;

using Ipv4Octets = std::array<std::uint8_t, 4>;

struct DhcpHeader {
  static constexpr std::uint8_t kRequest = 1, kReply = 2;
  static constexpr std::uint32_t kMagic = 0x63825363;
  static constexpr std::uint16_t kBroadcast = 0x8000;

  std::uint8_t operation = 0;
  std::uint8_t hardware_type = 1;
  std::uint8_t hardware_length = 6;
  std::uint8_t hops = 0;
  be32 transaction;
  be16 seconds;
  be16 flags;
  Ipv4Octets client{}, yours{}, next_server{}, relay{};
  std::array<std::uint8_t, 16> hardware_address{};
  std::array<std::uint8_t, 64> server_name{};
  std::array<std::uint8_t, 128> file{};
  be32 magic = kMagic;
};
static_assert(sizeof(DhcpHeader) == 240 && alignof(DhcpHeader) == 1);

enum class DhcpKind : std::uint8_t {
  discover = 1,
  offer = 2,
  request = 3,
  decline = 4,
  acknowledge = 5,
  refuse = 6,
  release = 7,
  inform = 8,
};

// What a client says.
struct DhcpMessage {
  DhcpHeader header;
  DhcpKind kind{};
  std::optional<Ipv4Octets> requested_address;
  std::optional<Ipv4Octets> server;
  ByteView client_identifier;  // within the parsed bytes; empty when there is none
};

// Nothing for what is no DHCP request: too short, without the magic number or a kind, with an option that runs over the
// end or has the wrong length. Of options that come twice the first counts; those behind the end, and in the fields for
// names and files, are not looked at.
std::optional<DhcpMessage> parse_dhcp(ByteView bytes);

// What a server says beside the address.
struct DhcpTerms {
  Ipv4Octets server{};
  std::uint8_t prefix_length = 24;
  Ipv4Octets router{};
  std::span<const Ipv4Octets> resolvers;
  std::uint16_t mtu = 1500;
  std::uint32_t lease_seconds = 0;  // 0: no lease is told (an answer to inform)
};

// The largest reply: header, options of fixed length, eight resolvers and the longest client identifier.
inline constexpr std::size_t kMaxDhcpReply = 240 + 64 + 34 + 257;

// Answers `request`; `address` is the client's, all zero where none is given. Returns the bytes used of `out`, which
// holds kMaxDhcpReply. A refusal holds nothing but who refuses.
std::size_t encode_dhcp_reply(const DhcpMessage& request, DhcpKind kind, const Ipv4Octets& address,
                              const DhcpTerms& terms, MutableBytes out);

}  // namespace microagent::wire
