#include "init/address.h"

#include <arpa/inet.h>

#include <charconv>

#include "init/text.h"

namespace microagent::init {
namespace {

// The address with every bit from `length` on set to `bit`.
wire::IpAddress with_host_bits(const Cidr& cidr, bool bit) {
  wire::IpAddress address = cidr.address;
  for (unsigned i = cidr.length; i < bits(address); ++i) {
    const auto mask = static_cast<std::uint8_t>(0x80 >> i % 8);
    std::uint8_t& byte = address.bytes[i / 8];
    byte = static_cast<std::uint8_t>(bit ? byte | mask : byte & ~mask);
  }
  return address;
}

}  // namespace

wire::IpAddress Cidr::network() const { return with_host_bits(*this, false); }
wire::IpAddress Cidr::broadcast() const { return with_host_bits(*this, true); }

std::optional<wire::IpAddress> parse_address(std::string_view text) {
  const std::string terminated(text);
  wire::IpAddress address;
  if (::inet_pton(AF_INET, terminated.c_str(), address.bytes.data()) == 1) return address;
  address = {};
  address.family = wire::IpAddress::Family::ipv6;
  if (::inet_pton(AF_INET6, terminated.c_str(), address.bytes.data()) == 1) return address;
  return std::nullopt;
}

std::optional<Cidr> parse_cidr(std::string_view text) {
  const std::size_t slash = text.find('/');
  if (slash == std::string_view::npos) return std::nullopt;
  const auto address = parse_address(text.substr(0, slash));
  const std::string_view digits = text.substr(slash + 1);
  unsigned length = 0;
  const auto [end, error] = std::from_chars(digits.data(), digits.data() + digits.size(), length);
  if (!address || error != std::errc() || end != digits.data() + digits.size() || length > bits(*address)) {
    return std::nullopt;
  }
  return Cidr{*address, length};
}

std::string to_text(const wire::IpAddress& address) {
  char text[INET6_ADDRSTRLEN] = {};
  ::inet_ntop(address.is_ipv4() ? AF_INET : AF_INET6, address.bytes.data(), text, sizeof text);
  return text;
}

std::string to_text(const Cidr& cidr) { return concat(to_text(cidr.address), "/", cidr.length); }

std::optional<Route> parse_route(std::string_view text) {
  constexpr std::string_view kVia = " via ";
  const std::size_t via = text.find(kVia);
  if (via == std::string_view::npos) return std::nullopt;
  const auto destination = parse_cidr(text.substr(0, via));
  const auto gateway = parse_address(text.substr(via + kVia.size()));
  if (!destination || !gateway || destination->address.family != gateway->family) return std::nullopt;
  return Route{*destination, *gateway};
}

std::string to_text(const Route& route) { return concat(to_text(route.destination), " via ", to_text(route.gateway)); }

}  // namespace microagent::init
