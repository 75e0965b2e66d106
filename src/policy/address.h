#pragma once

// IP addresses and prefixes as values, with one textual form each.

#include <array>
#include <compare>
#include <cstddef>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

namespace microagent::policy {

// An IPv4 or IPv6 address, network order. IPv4 uses the first four bytes; the rest are zero.
struct Address {
  enum class Family : std::uint8_t { ipv4, ipv6 };
  Family family = Family::ipv4;
  std::array<std::uint8_t, 16> bytes{};

  static Address ipv4(const std::array<std::uint8_t, 4>& octets);
  static Address ipv6(const std::array<std::uint8_t, 16>& octets);

  unsigned bits() const { return family == Family::ipv4 ? 32 : 128; }
  auto operator<=>(const Address&) const = default;
};

// Four decimal octets without leading zeros, or an RFC 4291 literal without zone. Nothing else, so that no two programs
// read different addresses out of one text.
std::optional<Address> parse_address(std::string_view text);
std::string to_string(const Address& address);  // RFC 5952 for IPv6

// ::ffff:a.b.c.d is what sockets call a.b.c.d (RFC 4291, 2.5.5.2); every other address comes back as it is.
Address unmapped(const Address& address);

// A prefix whose host bits are zero.
struct Cidr {
  Address base;
  std::uint8_t length = 0;

  bool contains(const Address& address) const;
  bool operator==(const Cidr&) const = default;
};

// ADDRESS/LENGTH. Host bits are cleared: 192.168.64.2/24 is the network 192.168.64.0/24.
std::optional<Cidr> parse_cidr(std::string_view text);
std::string to_string(const Cidr& cidr);

// The prefix of this length, at most address.bits(), that holds the address.
Cidr network_of(const Address& address, unsigned length);
// The prefix that holds this address alone.
Cidr host_cidr(const Address& address);

}  // namespace microagent::policy
