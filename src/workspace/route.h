#pragma once

#include <optional>
#include <string>
#include <string_view>

#include "workspace/ip.h"

namespace microagent::workspace {

// "CIDR via IP", as `ip route` writes it; "default" stands for 0.0.0.0/0.
struct Route {
  Ipv4Prefix to;
  Ipv4 via = 0;
};

std::optional<Route> parse_route(std::string_view text);
std::string to_text(const Route& route);  // host bits of the destination are kept

inline bool same_destination(const Route& one, const Route& other) {
  return one.to.network() == other.to.network() && one.to.length == other.to.length;
}

}  // namespace microagent::workspace
