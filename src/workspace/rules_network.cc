// The rules of the contract's chapters "Network modes", "--publish" and "Static address".

#include <fmt/format.h>

#include "workspace/forward.h"
#include "workspace/ip.h"
#include "workspace/route.h"
#include "workspace/rules.h"

namespace microagent::workspace {
namespace {

using Found = std::optional<Violation>;

// What the static address block says, parsed, with the defaults filled in.
struct Wire {
  Ipv4Prefix ip, subnet;
  Ipv4 gateway = 0;
};

Found find_isolated_violation(const Network& network) {
  const auto meaningless = [](const char* key) {
    return Violation{key, "an isolated workspace has no network device", "remove it, or use network mode user"};
  };
  if (!network.forwards.empty()) return meaningless("network.forwards[0]");
  if (!network.ip.empty()) return meaningless("network.ip");
  if (!network.subnet.empty()) return meaningless("network.subnet");
  if (!network.gateway.empty()) return meaningless("network.gateway");
  if (!network.dns.empty()) return meaningless("network.dns[0]");
  if (!network.routes.empty()) return meaningless("network.routes[0]");
  return std::nullopt;
}

Found find_forward_violation(const std::vector<Forward>& forwards) {
  if (forwards.size() > kMaxForwards) {
    return Violation{fmt::format("network.forwards[{}]", kMaxForwards),
                     fmt::format("{} ports are more than a workspace may publish", forwards.size()),
                     fmt::format("publish at most {}", kMaxForwards)};
  }
  for (std::size_t i = 0; i < forwards.size(); ++i) {
    const std::string key = fmt::format("network.forwards[{}]", i);
    if (forwards[i].guest_port == 0) return Violation{key, "guest port 0 is not a port", "use 1 to 65535"};
    if (canonical_ip(forwards[i].host) != forwards[i].host) {
      return Violation{key, fmt::format("host \"{}\" is not an IP address", forwards[i].host), "use 127.0.0.1"};
    }
    for (std::size_t j = 0; j < i; ++j) {
      if (!collide(forwards[i], forwards[j])) continue;
      return Violation{key,
                       fmt::format("{} takes host port {} that {} takes already", describe(forwards[i]),
                                   forwards[i].host_port, describe(forwards[j])),
                       "publish each host port once; 0 takes a free one"};
    }
  }
  return std::nullopt;
}

Found find_incomplete_block(const Network& network) {
  if (network.ip.empty() && !network.subnet.empty()) {
    return Violation{"network.subnet", "a subnet needs an ip", "declare network.ip and network.gateway too"};
  }
  if (network.ip.empty() && !network.gateway.empty()) {
    return Violation{"network.gateway", "a gateway needs an ip", "declare network.ip too"};
  }
  if (!network.ip.empty() && network.gateway.empty()) {
    return Violation{"network.ip", "an ip needs a gateway", "declare network.gateway too"};
  }
  return std::nullopt;
}

// Parses the three addresses of the block into `wire`.
Found read_addresses(const EffectiveNetwork& network, Wire& wire) {
  const auto ip = parse_ipv4_prefix(network.ip);
  if (!ip) {
    return Violation{"network.ip", fmt::format("\"{}\" is not an IPv4 address with a prefix length", network.ip),
                     fmt::format("write it like {}", kDefaultIp)};
  }
  const auto subnet = parse_ipv4_prefix(network.subnet);
  if (!subnet) {
    return Violation{"network.subnet", fmt::format("\"{}\" is not an IPv4 prefix", network.subnet),
                     fmt::format("write it like {}, or leave it out", network_text(*ip))};
  }
  const auto gateway = parse_ipv4(network.gateway);
  if (!gateway) {
    return Violation{"network.gateway", fmt::format("\"{}\" is not an IPv4 address", network.gateway),
                     fmt::format("write it like {}, without a prefix length", kDefaultGateway)};
  }
  wire = {*ip, *subnet, *gateway};
  return std::nullopt;
}

Found find_prefix_violation(const Wire& wire) {
  if (wire.ip.length < kMinPrefixLength || wire.ip.length > kMaxPrefixLength) {
    return Violation{"network.ip", fmt::format("prefix length {} leaves no usable network", wire.ip.length),
                     fmt::format("use /{} to /{}", kMinPrefixLength, kMaxPrefixLength)};
  }
  if (wire.subnet.length != wire.ip.length) {
    return Violation{"network.subnet",
                     fmt::format("prefix length {} is not that of network.ip, {}", wire.subnet.length, wire.ip.length),
                     "make both agree, or leave network.subnet out"};
  }
  if (wire.subnet.address != wire.subnet.network()) {
    return Violation{
        "network.subnet",
        fmt::format("{}/{} is an address, not a network", to_text(wire.subnet.address), wire.subnet.length),
        fmt::format("write {}", network_text(wire.subnet))};
  }
  return std::nullopt;
}

Found find_host_violation(const Wire& wire, const char* key, Ipv4 address) {
  const std::string text = to_text(address), subnet = network_text(wire.subnet);
  if (!wire.subnet.contains(address)) {
    return Violation{key, fmt::format("{} lies outside the subnet {}", text, subnet), "choose an address inside it"};
  }
  if (!is_unicast(address)) {
    return Violation{key, fmt::format("{} is not an address that a host can have", text),
                     "choose one of a private network, such as 192.168.64.0/24"};
  }
  if (wire.subnet.reserves(address)) {
    return Violation{key,
                     fmt::format("{} is the {} address of {}", text,
                                 address == wire.subnet.network() ? "network" : "broadcast", subnet),
                     "choose an address between the first and the last"};
  }
  return std::nullopt;
}

Found find_dns_violation(const std::vector<std::string>& dns) {
  if (dns.size() > kMaxDns) {
    return Violation{fmt::format("network.dns[{}]", kMaxDns), fmt::format("{} resolvers are too many", dns.size()),
                     fmt::format("declare at most {}", kMaxDns)};
  }
  for (std::size_t i = 0; i < dns.size(); ++i) {
    const auto address = parse_ipv4(dns[i]);
    if (address && *address >> 24 == 127) {
      return Violation{fmt::format("network.dns[{}]", i), fmt::format("{} is the guest itself there", dns[i]),
                       "leave it out: the gateway asks the host's own resolvers"};
    }
    if (address && is_unicast(*address)) continue;
    return Violation{fmt::format("network.dns[{}]", i),
                     fmt::format("\"{}\" is not the IPv4 address of a resolver", dns[i]), "write it like 1.1.1.1"};
  }
  return std::nullopt;
}

Found find_route_violation(const Wire& wire, const Route& route, std::string key) {
  if (route.to.address != route.to.network()) {
    return Violation{std::move(key),
                     fmt::format("{}/{} is an address, not a network", to_text(route.to.address), route.to.length),
                     fmt::format("write {}", network_text(route.to))};
  }
  if (route.via == wire.ip.address) {
    return Violation{std::move(key), fmt::format("{} is the guest itself", to_text(route.via)),
                     fmt::format("route via the gateway, {}", to_text(wire.gateway))};
  }
  return find_host_violation(wire, key.c_str(), route.via);
}

Found find_routes_violation(const Wire& wire, const std::vector<std::string>& routes) {
  if (routes.size() > kMaxRoutes) {
    return Violation{fmt::format("network.routes[{}]", kMaxRoutes),
                     fmt::format("{} routes are too many", routes.size()),
                     fmt::format("declare at most {}", kMaxRoutes)};
  }
  std::vector<Route> known;
  for (std::size_t i = 0; i < routes.size(); ++i) {
    const std::string key = fmt::format("network.routes[{}]", i);
    const auto route = parse_route(routes[i]);
    if (!route) {
      return Violation{key, fmt::format("\"{}\" is not a route", routes[i]),
                       "write CIDR via IP, such as 0.0.0.0/0 via 192.168.64.1"};
    }
    if (auto violation = find_route_violation(wire, *route, key)) return violation;
    for (const Route& other : known) {
      if (!same_destination(other, *route)) continue;
      return Violation{key, fmt::format("{} has a route already", network_text(route->to)), "declare one of them"};
    }
    known.push_back(*route);
  }
  return std::nullopt;
}

}  // namespace

std::optional<Violation> find_network_violation(const Network& network) {
  if (network.mode == NetworkMode::isolated) return find_isolated_violation(network);
  if (auto violation = find_forward_violation(network.forwards)) return violation;
  if (auto violation = find_incomplete_block(network)) return violation;

  Wire wire;
  if (auto violation = read_addresses(effective(network), wire)) return violation;
  if (auto violation = find_prefix_violation(wire)) return violation;
  if (auto violation = find_host_violation(wire, "network.ip", wire.ip.address)) return violation;
  if (auto violation = find_host_violation(wire, "network.gateway", wire.gateway)) return violation;
  if (wire.gateway == wire.ip.address) {
    return Violation{"network.gateway", fmt::format("{} is the guest's own address", to_text(wire.gateway)),
                     "choose another address of the subnet"};
  }
  if (auto violation = find_dns_violation(network.dns)) return violation;
  return find_routes_violation(wire, network.routes);
}

}  // namespace microagent::workspace
