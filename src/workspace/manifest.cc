#include "workspace/manifest.h"

#include <fmt/format.h>

#include <algorithm>
#include <nlohmann/json.hpp>

#include "workspace/ip.h"
#include "workspace/json_fields.h"
#include "workspace/route.h"
#include "workspace/rules.h"

namespace microagent::workspace {

using Json = nlohmann::json;

std::string_view to_string(NetworkMode mode) { return mode == NetworkMode::user ? "user" : "isolated"; }

std::string_view to_string(Transport protocol) { return protocol == Transport::tcp ? "tcp" : "udp"; }

EffectiveNetwork effective(const Network& network) {
  EffectiveNetwork result;
  result.ip = network.ip.empty() ? kDefaultIp : network.ip;
  result.gateway = network.gateway.empty() ? kDefaultGateway : network.gateway;
  result.subnet = network.subnet;
  if (result.subnet.empty()) {
    // An ip that is none has been refused before anything is done with the rest.
    if (const auto prefix = parse_ipv4_prefix(result.ip)) result.subnet = network_text(*prefix);
  }
  result.dns = network.dns;
  if (result.dns.empty()) result.dns = {result.gateway};
  result.routes = network.routes;
  // The gateway is the way to everywhere, unless a declared route says otherwise.
  const auto is_default = [](const std::string& text) {
    const auto route = parse_route(text);
    return route && route->to.length == 0;
  };
  if (std::none_of(result.routes.begin(), result.routes.end(), is_default)) {
    result.routes.push_back("0.0.0.0/0 via " + result.gateway);
  }
  return result;
}

Status validate(const Manifest& manifest) {
  const auto violation = find_violation(manifest);
  if (!violation) return {};
  return fail(ErrorKind::usage, violation->key + ": " + violation->message, violation->remediation);
}

Json network_record(const Network& network) {
  Json record = {{"mode", to_string(network.mode)}};
  if (!network.forwards.empty()) record["portForwards"] = forwards_to_json(network.forwards);
  if (!network.ip.empty()) record["ip"] = network.ip;
  if (!network.subnet.empty()) record["subnet"] = network.subnet;
  if (!network.gateway.empty()) record["gateway"] = network.gateway;
  if (!network.dns.empty()) record["dns"] = network.dns;
  if (!network.routes.empty()) record["routes"] = network.routes;
  return record;
}

}  // namespace microagent::workspace
