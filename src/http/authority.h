#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

#include "policy/address.h"

namespace microagent::http {

// Whom a request is for: Host, :authority, or the authority of an absolute target (RFC 9110, 4.2 and 7.2).
struct Authority {
  std::string host;  // a host name as sent; empty where the request gives an address
  std::optional<policy::Address> address;
  std::optional<std::uint16_t> port;
  bool operator==(const Authority&) const = default;
};

// HOST, HOST:PORT, IPV4, [IPV6], each with or without port; an empty port is none (RFC 3986, 3.2.3). No user, no
// percent signs, nothing that another program could read as another host.
std::optional<Authority> parse_authority(std::string_view text);

// The same host and port, where the default goes without saying.
bool same_host(const Authority& a, const Authority& b, std::uint16_t default_port = 80);

}  // namespace microagent::http
