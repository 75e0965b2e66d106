#include "mediator/judge.h"

#include <fmt/format.h>

#include <algorithm>

#include "dns/resolvers.h"
#include "mediator/endpoint.h"
#include "wire/agent.h"

namespace microagent::mediator {
namespace {

constexpr std::uint16_t kHttpPort = 80;

Judgement denied(std::string reason, std::string rule) {
  Judgement judgement;
  judgement.denial = denial(std::move(reason), std::move(rule));
  return judgement;
}

Judgement served(Service service) {
  Judgement judgement;
  judgement.service = service;
  return judgement;
}

Judgement judge_vsock(const Config& config, const flow::Open& open) {
  const flow::Endpoint& destination = open.destination;
  const bool to_host = vsock_cid(destination) == wire::kHostCid;
  if (to_host && destination.port == wire::kAgentHostPort && open.packets == 0) return served(Service::agent);
  if (to_host && config.mediation && destination.port == config.mediation->port) {
    Judgement judgement = served(Service::mediation);
    judgement.rule = fmt::format("--mediation {}={}", config.mediation->port, config.mediation->text);
    return judgement;
  }
  return denied("no service on this vsock port", "vsock services");
}

bool is_resolver(const Network& network, const policy::Address& address) {
  return address == network.gateway || std::ranges::find(network.declared_dns, address) != network.declared_dns.end();
}

std::optional<policy::Protocol> protocol_of(flow::Protocol protocol) {
  switch (protocol) {
    case flow::Protocol::tcp: return policy::Protocol::tcp;
    case flow::Protocol::udp: return policy::Protocol::udp;
    case flow::Protocol::icmp_echo: return policy::Protocol::icmp;
    case flow::Protocol::vsock: break;
  }
  return std::nullopt;
}

}  // namespace

Judgement judge(const Config& config, policy::Mode mode, const flow::Open& open) {
  if (open.protocol == flow::Protocol::vsock) return judge_vsock(config, open);
  if (!config.network) return denied("isolated", "network mode isolated");
  const auto protocol = protocol_of(open.protocol);
  if (!protocol) return denied("unknown protocol", "protocols");
  const auto destination = address_of(open.destination);
  if (!destination) return denied("not an IP address", "destinations");
  const bool has_port = *protocol != policy::Protocol::icmp;
  if (has_port && (open.destination.port == 0 || open.destination.port > 65'535)) {
    return denied("no such port", "destinations");
  }

  Judgement judgement = served(Service::upstream);
  judgement.facts.protocol = *protocol;
  judgement.facts.destination = policy::unmapped(*destination);
  if (!has_port) return judgement;
  const auto port = static_cast<std::uint16_t>(open.destination.port);
  judgement.facts.port = port;
  const bool ours = is_resolver(*config.network, judgement.facts.destination);
  if (port == dns::kPort && (ours || mode != policy::Mode::off)) {
    judgement.service = Service::dns;
    judgement.foreign_resolver = !ours;
  }
  const bool gateway = judgement.facts.destination == config.network->gateway;
  if (*protocol == policy::Protocol::tcp && gateway && port == kHttpPort) judgement.service = Service::page;
  return judgement;
}

}  // namespace microagent::mediator
