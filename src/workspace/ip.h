#pragma once

// IP literals as the user may write them. Names are never looked up here.

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

namespace microagent::workspace {

using Ipv4 = std::uint32_t;  // host order

// Four decimal octets without leading zeros, and nothing else.
std::optional<Ipv4> parse_ipv4(std::string_view text);
std::string to_text(Ipv4 address);

// An address with the length of its network's prefix: 192.168.64.2/24. Host bits may be set.
struct Ipv4Prefix {
  Ipv4 address = 0;
  unsigned length = 0;  // 0 to 32

  Ipv4 mask() const { return length == 0 ? 0 : ~Ipv4{0} << (32 - length); }
  Ipv4 network() const { return address & mask(); }
  Ipv4 broadcast() const { return address | ~mask(); }
  bool contains(Ipv4 other) const { return (other & mask()) == network(); }
  // The network's first address and its last are no hosts, but for /31 (RFC 3021) and /32.
  bool reserves(Ipv4 other) const { return length < 31 && (other == network() || other == broadcast()); }
};

std::optional<Ipv4Prefix> parse_ipv4_prefix(std::string_view text);
std::string network_text(const Ipv4Prefix& prefix);  // 192.168.64.0/24

// Whether a host can have the address: not 0/8, 127/8, multicast, 240/4 or broadcast (RFC 6890, RFC 1112).
bool is_unicast(Ipv4 address);

// The one spelling of an IPv4 or IPv6 literal without zone or brackets: RFC 5952, and IPv4 for what is mapped into
// IPv6.
std::optional<std::string> canonical_ip(std::string_view text);

// A decimal number without sign or leading zeros, at most `limit`.
std::optional<std::uint32_t> parse_number(std::string_view digits, std::uint32_t limit);

}  // namespace microagent::workspace
