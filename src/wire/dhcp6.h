#pragma once

// DHCP for IPv6: RFC 8415, as far as one guest with one address needs it, and the resolvers of RFC 3646.

#include <array>
#include <cstdint>
#include <optional>

#include "base/bytes.h"
#include "wire/ethernet.h"

namespace microagent::wire {

inline constexpr std::uint16_t kDhcp6ServerPort = 547;
inline constexpr std::uint16_t kDhcp6ClientPort = 546;

enum class Dhcp6Kind : std::uint8_t {
  solicit = 1,
  advertise = 2,
  request = 3,
  confirm = 4,
  renew = 5,
  rebind = 6,
  reply = 7,
  release = 8,
  decline = 9,
  information_request = 11,
};

struct Dhcp6Message {
  Dhcp6Kind kind{};
  std::array<std::uint8_t, 3> transaction{};
  ByteView client_identifier;                // within the parsed bytes
  ByteView server_identifier;                // empty when none is named
  std::optional<std::uint32_t> association;  // of the first IA_NA
  bool rapid_commit = false;
};

// Nothing for what is no message of a client: unknown kind, an option over the end, an identifier that is missing where
// it must not be or longer than it may be (RFC 8415, 11.1). Options in options are not looked at.
std::optional<Dhcp6Message> parse_dhcp6(ByteView bytes);

// How a server is known: by its link-layer address (RFC 8415, 11.4).
struct Dhcp6Identifier {
  be16 type = 3;
  be16 hardware_type = 1;
  MacAddress address{};
};
static_assert(sizeof(Dhcp6Identifier) == 10);

struct Dhcp6Terms {
  Dhcp6Identifier server;
  std::array<std::uint8_t, 16> address{};  // of the client
  std::array<std::uint8_t, 16> resolver{};
  bool gives_address = false;  // with it the association is answered
  bool says_success = false;   // a status for confirm, release and decline
};

inline constexpr std::size_t kMaxDhcp6Identifier = 130;
inline constexpr std::size_t kMaxDhcp6Reply = 4 + 4 + kMaxDhcp6Identifier + 14 + 40 + 20 + 6 + 4;

// Returns the bytes used of `out`, which holds kMaxDhcp6Reply.
std::size_t encode_dhcp6_reply(const Dhcp6Message& request, Dhcp6Kind kind, const Dhcp6Terms& terms, MutableBytes out);

}  // namespace microagent::wire
