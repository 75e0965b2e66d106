#include "mediator/mediator.h"

#include <fmt/format.h>

#include "base/log.h"
#include "mediator/dial.h"
#include "mediator/mediation_records.h"
#include "mediator/spawn.h"
#include "wire/agent.h"

namespace microagent::mediator {
namespace {

// How a denial sounds: streams are reset, the others get ICMP.
flow::Refusal denial(flow::Protocol protocol) {
  const bool stream = protocol == flow::Protocol::tcp || protocol == flow::Protocol::vsock;
  return stream ? flow::Refusal::reset : flow::Refusal::admin_prohibited;
}

}  // namespace

Result<std::unique_ptr<Mediator>> Mediator::open(asio::io_context& io, Config config, dns::ResolverList resolvers,
                                                 Sockets sockets) {
  auto audit = audit::Writer::open(config.audit_file, config.workspace);
  if (!audit) return fail(with_context(audit.error(), "audit log"));
  auto host_addresses = HostAddresses::open();
  if (!host_addresses) return fail(host_addresses.error());
  auto supervisor = watch(io.get_executor(), std::move(sockets.supervisor));
  if (!supervisor) return fail(supervisor.error());
  auto netd = NetdLink::open(io.get_executor(), std::move(sockets.netd));
  if (!netd) return fail(netd.error());
  return std::unique_ptr<Mediator>(new Mediator(io, std::move(config), std::move(resolvers), std::move(*audit),
                                                std::move(*host_addresses), std::move(*supervisor), std::move(*netd)));
}

Mediator::Mediator(asio::io_context& io, Config config, dns::ResolverList resolvers, audit::Writer audit,
                   HostAddresses host_addresses, Descriptor supervisor, std::unique_ptr<NetdLink> netd)
    : io_(io),
      config_(std::move(config)),
      audit_(std::move(audit)),
      host_addresses_(std::move(host_addresses)),
      supervisor_(std::move(supervisor)),
      netd_(std::move(netd)),
      agent_(io.get_executor(), !config_.network, [this](const nlohmann::json& message) { on_agent_message(message); }),
      dns_(io.get_executor(), std::move(resolvers), audit_) {
  if (config_.network) surroundings_.subnet = config_.network->subnet;
  if (!config_.result_file.empty()) {
    result_.emplace(
        io.get_executor(), config_.result_file,
        [this](Fd stream) { netd_->dial_vsock(wire::kExecGuestPort, std::move(stream)); },
        [this](const Result<std::size_t>& kept) { on_result(kept); });
  }
  if (config_.mediation) {
    mediation_.emplace(io.get_executor(), config_.mediation->target, [this](bool reached, const std::string& error) {
      supervisor_.send({{"type", "mediation"}, {"ready", reached}, {"error", error}});
    });
  }
}

void Mediator::start() {
  spawn(io_.get_executor(), serve_supervisor());
  spawn(io_.get_executor(), serve_netd());
  nlohmann::json ready = nlohmann::json::object();
  ready["type"] = "ready";
  supervisor_.send(ready);
  if (mediation_) mediation_->start();
}

asio::awaitable<void> Mediator::serve_supervisor() {
  const std::string why = co_await supervisor_.receive([this](const nlohmann::json& message) {
    if (message.value("type", "") == "shutdown") return agent_.shutdown();
    log_warning("the supervisor sent a message of an unknown type");
  });
  end(why);
}

asio::awaitable<void> Mediator::serve_netd() {
  const std::string why = co_await netd_->receive([this](const flow::Message& message) { return on_message(message); });
  end(why);
}

// No further record can come, so what is still open is closed here rather than at the next start.
void Mediator::end(std::string_view why) {
  log_info("{}: ending", why);
  if (const Status status = audit_.close_open_flows(); !status) log_error("{}", status.error().message);
  io_.stop();
}

std::string Mediator::on_message(const flow::Message& message) {
  if (const auto open = message.as<flow::Open>()) return on_open(message.header.flow, *open);
  if (const auto closed = message.as<flow::Closed>()) {
    on_closed(message.header.flow, *closed);
    return {};
  }
  return "netd sent a message that is not its to send";
}

std::string Mediator::on_open(flow::FlowId id, const flow::Open& open) {
  if ((id & flow::kDialledBit) != 0 || flows_.contains(id)) return "netd opened a flow under a number it may not use";
  if (flows_.size() >= kMaxFlows) {
    deny(id, open, denied("too many flows", fmt::format("at most {} flows at once", kMaxFlows)));
    return {};
  }
  flows_.emplace(id, Flow{open});
  spawn(io_.get_executor(), tell(id, open));
  return {};
}

void Mediator::on_agent_message(const nlohmann::json& message) {
  if (message.value("type", "") != "result_ready") return supervisor_.send(message);
  if (result_) result_->on_written();
}

void Mediator::on_result(const Result<std::size_t>& kept) {
  if (kept) return supervisor_.send({{"type", "result_ready"}, {"bytes", *kept}, {"error", ""}});
  warnings_.warn(kept.error().message);
  supervisor_.send({{"type", "result_ready"}, {"bytes", 0}, {"error", kept.error().message}});
}

void Mediator::on_closed(flow::FlowId id, const flow::Closed& closed) {
  if ((id & flow::kDialledBit) != 0) return;  // the stream itself has told
  const auto found = flows_.find(id);
  // A flow whose verdict is still to come ends by its verdict, so this changes nothing.
  if (found == flows_.end() || !found->second.spliced) return warnings_.warn("netd closed a flow that was not spliced");
  const Flow flow = found->second;
  flows_.erase(found);
  if (flow.mediation) {
    mediation_->release(closed.end == flow::End::host_reset);
    record(flow.audit_flow, mediation_close_record(flow.open, closed));
    return;
  }
  if (flow.audit_flow != 0) record(flow.audit_flow, close_record(flow.open, closed));
}

asio::awaitable<void> Mediator::tell(flow::FlowId id, flow::Open open) {
  if (const Status status = host_addresses_.refresh(surroundings_.host); !status) {
    co_return deny(id, open, denied(status.error().message, "the host's addresses must be known"));
  }
  Judgement judgement = judge(config_, surroundings_, open);
  switch (judgement.service) {
    case Service::none: co_return deny(id, open, judgement);
    case Service::agent: co_return serve(id, open, agent_.accept());
    case Service::dns: {
      const auto transport = open.protocol == flow::Protocol::udp ? dns::Transport::udp : dns::Transport::tcp;
      co_return serve(id, open, dns_.serve(transport, audit_.new_flow()));
    }
    case Service::mediation: co_return co_await tell_mediation(id, open, std::move(judgement));
    case Service::upstream: co_await tell_upstream(id, open, std::move(judgement));
  }
}

// The record comes first: what is dialled without one would be traffic that nobody can account for.
asio::awaitable<void> Mediator::tell_upstream(flow::FlowId id, flow::Open open, Judgement judgement) {
  const std::uint64_t audit_flow = audit_.new_flow();
  if (!record(audit_flow, allow_record(open, judgement))) co_return refuse(id, open.protocol, denial(open.protocol));

  const bool has_port = open.protocol != flow::Protocol::icmp_echo;
  const auto port = static_cast<std::uint16_t>(has_port ? open.destination.port : 0);
  auto dialled = co_await dial({open.protocol, judgement.destination, port}, in(kDialTimeout));
  if (!dialled) {
    record(audit_flow, dial_error_record(open, dialled.error().text));
    co_return refuse(id, open.protocol, dialled.error().refusal);
  }
  flows_.at(id).audit_flow = audit_flow;
  splice(id, std::move(*dialled));
}

asio::awaitable<void> Mediator::tell_mediation(flow::FlowId id, flow::Open open, Judgement judgement) {
  const std::uint64_t audit_flow = audit_.new_flow();
  if (mediation_->full()) {
    judgement.reason = fmt::format("at most {} connections at once", MediationChannel::kMaxConnections);
    record(audit_flow, mediation_deny_record(open, judgement));
    co_return refuse(id, open.protocol, flow::Refusal::reset);
  }
  if (!record(audit_flow, mediation_open_record(open, judgement))) {
    co_return refuse(id, open.protocol, flow::Refusal::reset);
  }
  auto dialled = co_await mediation_->connect(open.packets != 0 ? Delivery::packets : Delivery::stream);
  if (!dialled) {
    record(audit_flow, mediation_dial_error_record(open, dialled.error().text));
    co_return refuse(id, open.protocol, flow::Refusal::reset);
  }
  Flow& flow = flows_.at(id);
  flow.audit_flow = audit_flow;
  flow.mediation = true;
  splice(id, std::move(*dialled));
}

// One of our own services takes the flow.
void Mediator::serve(flow::FlowId id, const flow::Open& open, Result<Fd> guests_end) {
  if (guests_end) return splice(id, std::move(*guests_end));
  deny(id, open, denied(guests_end.error().message, "services of the mediator"));
}

void Mediator::splice(flow::FlowId id, Fd fd) {
  flows_.at(id).spliced = true;
  netd_->splice(id, std::move(fd));
}

void Mediator::deny(flow::FlowId id, const flow::Open& open, const Judgement& judgement) {
  record(audit_.new_flow(), deny_record(open, judgement));
  refuse(id, open.protocol, denial(open.protocol));
}

void Mediator::refuse(flow::FlowId id, flow::Protocol protocol, flow::Refusal refusal) {
  flows_.erase(id);
  netd_->refuse(id, protocol == flow::Protocol::vsock ? flow::Refusal::reset : refusal);
}

bool Mediator::record(std::uint64_t audit_flow, const Record& record) {
  const Status status = audit_.write(record.event, audit_flow, record.fields);
  if (!status) warnings_.warn(status.error().message);
  return status.has_value();
}

}  // namespace microagent::mediator
