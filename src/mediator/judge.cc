#include "mediator/judge.h"

#include <fmt/format.h>

#include <algorithm>

#include "dns/resolvers.h"
#include "mediator/endpoint.h"
#include "wire/agent.h"

namespace microagent::mediator {
namespace {

Judgement judge_vsock(const Config& config, const flow::Open& open) {
  const flow::Endpoint& destination = open.destination;
  const bool to_host = vsock_cid(destination) == wire::kHostCid;
  Judgement judgement;
  if (to_host && destination.port == wire::kAgentHostPort && open.packets == 0) {
    judgement.service = Service::agent;
    return judgement;
  }
  if (to_host && config.mediation && destination.port == config.mediation->port) {
    judgement.service = Service::mediation;
    judgement.rule = fmt::format("--mediation {}={}", config.mediation->port, config.mediation->text);
    return judgement;
  }
  return denied("no service on this vsock port", "vsock services");
}

bool is_resolver(const Network& network, const policy::Address& address) {
  return address == network.gateway || std::ranges::find(network.declared_dns, address) != network.declared_dns.end();
}

policy::Protocol protocol_of(flow::Protocol protocol) {
  if (protocol == flow::Protocol::udp) return policy::Protocol::udp;
  return protocol == flow::Protocol::tcp ? policy::Protocol::tcp : policy::Protocol::icmp;
}

}  // namespace

Judgement denied(std::string reason, std::string rule) {
  Judgement judgement;
  judgement.reason = std::move(reason);
  judgement.rule = std::move(rule);
  return judgement;
}

Judgement judge(const Config& config, const policy::Surroundings& surroundings, const flow::Open& open) {
  if (open.protocol == flow::Protocol::vsock) return judge_vsock(config, open);
  if (!config.network) return denied("isolated", "network mode isolated");
  const bool has_port = open.protocol == flow::Protocol::tcp || open.protocol == flow::Protocol::udp;
  if (!has_port && open.protocol != flow::Protocol::icmp_echo) return denied("unknown protocol", "protocols");
  const auto destination = address_of(open.destination);
  if (!destination) return denied("not an IP address", "destinations");
  if (has_port && (open.destination.port == 0 || open.destination.port > 65'535)) {
    return denied("no such port", "destinations");
  }

  Judgement judgement;
  judgement.destination = policy::unmapped(*destination);
  if (has_port && open.destination.port == dns::kPort && is_resolver(*config.network, judgement.destination)) {
    judgement.service = Service::dns;
    return judgement;
  }
  policy::Facts facts;
  facts.protocol = protocol_of(open.protocol);
  facts.destination = judgement.destination;
  if (has_port) facts.port = static_cast<std::uint16_t>(open.destination.port);
  policy::Decision decision = policy::decide(config.policy, surroundings, facts);
  judgement.service = decision.allowed() ? Service::upstream : Service::none;
  judgement.internal = decision.reason == policy::Reason::inside;
  judgement.unlisted = decision.reason == policy::Reason::unlisted_public;
  judgement.reason = policy::to_string(decision.reason);
  judgement.rule = std::move(decision.text);
  return judgement;
}

}  // namespace microagent::mediator
