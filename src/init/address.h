#pragma once

#include <optional>
#include <string>
#include <string_view>

#include "wire/ip_address.h"

namespace microagent::init {

// An address with the length of its network's prefix: 192.168.64.2/24, 2001:db8::2/64. Host bits may be set.
struct Cidr {
  wire::IpAddress address;
  unsigned length = 0;

  wire::IpAddress network() const;    // host bits zero
  wire::IpAddress broadcast() const;  // host bits one
};

std::optional<wire::IpAddress> parse_address(std::string_view text);
std::optional<Cidr> parse_cidr(std::string_view text);
std::string to_text(const wire::IpAddress& address);
std::string to_text(const Cidr& cidr);

inline unsigned bits(const wire::IpAddress& address) { return address.is_ipv4() ? 32 : 128; }

// "CIDR via IP", both of one family.
struct Route {
  Cidr destination;
  wire::IpAddress gateway;
};
std::optional<Route> parse_route(std::string_view text);
std::string to_text(const Route& route);

}  // namespace microagent::init
