#pragma once

#include <array>
#include <compare>
#include <cstdint>

namespace microagent::wire {

// An IPv4 or IPv6 address, network order. IPv4 uses the first four bytes; the rest are zero.
struct IpAddress {
  enum class Family : std::uint8_t { ipv4 = 4, ipv6 = 6 };

  std::array<std::uint8_t, 16> bytes{};
  Family family = Family::ipv4;

  static IpAddress ipv4(const std::array<std::uint8_t, 4>& octets) {
    IpAddress address;
    for (std::size_t i = 0; i < octets.size(); ++i) address.bytes[i] = octets[i];
    return address;
  }
  static IpAddress ipv6(const std::array<std::uint8_t, 16>& octets) { return {octets, Family::ipv6}; }

  bool is_ipv4() const { return family == Family::ipv4; }
  std::array<std::uint8_t, 4> octets() const { return {bytes[0], bytes[1], bytes[2], bytes[3]}; }
  auto operator<=>(const IpAddress&) const = default;
};

}  // namespace microagent::wire
