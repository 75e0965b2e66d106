#include "policy/address.h"

#include <arpa/inet.h>

#include <algorithm>
#include <charconv>

namespace microagent::policy {
namespace {

constexpr std::array<std::uint8_t, 12> kMappedPrefix{0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0xff, 0xff};

int socket_family(Address::Family family) { return family == Address::Family::ipv4 ? AF_INET : AF_INET6; }

// The bits of byte `index` that belong to a prefix of `length` bits.
std::uint8_t prefix_mask(unsigned length, std::size_t index) {
  const auto before = static_cast<unsigned>(8 * index);
  if (length <= before) return 0;
  const unsigned bits = std::min(length - before, 8U);
  return static_cast<std::uint8_t>(0xff << (8 - bits));
}

}  // namespace

Address Address::ipv4(const std::array<std::uint8_t, 4>& octets) {
  Address address;
  std::ranges::copy(octets, address.bytes.begin());
  return address;
}

Address Address::ipv6(const std::array<std::uint8_t, 16>& octets) { return Address{Family::ipv6, octets}; }

std::optional<Address> parse_address(std::string_view text) {
  // inet_pton stops at a NUL and would accept what stands before it.
  if (text.size() >= INET6_ADDRSTRLEN || text.find('\0') != std::string_view::npos) return std::nullopt;
  const std::string terminated(text);
  Address address;
  address.family = text.find(':') == std::string_view::npos ? Address::Family::ipv4 : Address::Family::ipv6;
  if (::inet_pton(socket_family(address.family), terminated.c_str(), address.bytes.data()) != 1) return std::nullopt;
  return address;
}

std::string to_string(const Address& address) {
  std::array<char, INET6_ADDRSTRLEN> text{};
  ::inet_ntop(socket_family(address.family), address.bytes.data(), text.data(), text.size());
  return text.data();
}

Address unmapped(const Address& address) {
  if (address.family != Address::Family::ipv6) return address;
  if (!std::equal(kMappedPrefix.begin(), kMappedPrefix.end(), address.bytes.begin())) return address;
  return Address::ipv4({address.bytes[12], address.bytes[13], address.bytes[14], address.bytes[15]});
}

bool Cidr::contains(const Address& address) const {
  if (address.family != base.family) return false;
  for (std::size_t i = 0; i < address.bytes.size(); ++i) {
    if (((address.bytes[i] ^ base.bytes[i]) & prefix_mask(length, i)) != 0) return false;
  }
  return true;
}

std::optional<Cidr> parse_cidr(std::string_view text) {
  const std::size_t slash = text.find('/');
  if (slash == std::string_view::npos) return std::nullopt;
  const auto address = parse_address(text.substr(0, slash));
  const std::string_view digits = text.substr(slash + 1);
  if (!address || digits.empty() || (digits.size() > 1 && digits[0] == '0')) return std::nullopt;
  unsigned length = 0;
  const auto [end, error] = std::from_chars(digits.data(), digits.data() + digits.size(), length);
  if (error != std::errc() || end != digits.data() + digits.size() || length > address->bits()) return std::nullopt;
  return network_of(*address, length);
}

std::string to_string(const Cidr& cidr) { return to_string(cidr.base) + "/" + std::to_string(cidr.length); }

Cidr network_of(const Address& address, unsigned length) {
  Cidr cidr{address, static_cast<std::uint8_t>(length)};
  for (std::size_t i = 0; i < cidr.base.bytes.size(); ++i) cidr.base.bytes[i] &= prefix_mask(length, i);
  return cidr;
}

Cidr host_cidr(const Address& address) { return {address, static_cast<std::uint8_t>(address.bits())}; }

}  // namespace microagent::policy
