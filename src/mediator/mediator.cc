#include "mediator/mediator.h"

#include <fmt/format.h>

#include <boost/asio/as_tuple.hpp>
#include <boost/asio/post.hpp>
#include <boost/asio/use_awaitable.hpp>
#include <utility>

#include "base/log.h"
#include "mediator/authority_file.h"
#include "mediator/io.h"
#include "mediator/mediation_records.h"
#include "wire/agent.h"

namespace microagent::mediator {
namespace {

using Phase = LiveFlow::Phase;

std::optional<policy::Address> own_address(const Config& config) {
  if (!config.network) return std::nullopt;
  return config.network->gateway;
}

// How long what a guest has sent last may take to its upstream.
constexpr std::chrono::milliseconds kRelayLinger{5'000}, kAtOnce{0};

constexpr const char* kUsageFile = "egress-usage.json";  // beside the audit log

}  // namespace

Result<std::unique_ptr<Mediator>> Mediator::open(asio::io_context& io, Config config, dns::ResolverList resolvers,
                                                 Sockets sockets) {
  auto policy = LivePolicy::make(config.egress);
  if (!policy) return fail(policy.error());
  auto audit = audit::Writer::open(config.audit_file, config.workspace);
  if (!audit) return fail(with_context(audit.error(), "audit log"));
  auto host_addresses = HostAddresses::open();
  if (!host_addresses) return fail(host_addresses.error());
  auto supervisor = watch(io.get_executor(), std::move(sockets.supervisor));
  if (!supervisor) return fail(supervisor.error());
  auto netd = NetdLink::open(io.get_executor(), std::move(sockets.netd));
  if (!netd) return fail(netd.error());
  std::unique_ptr<Mediator> mediator(new Mediator(io, std::move(config), std::move(*policy), std::move(resolvers),
                                                  std::move(*audit), std::move(*host_addresses), std::move(*supervisor),
                                                  std::move(*netd)));
  if (const Status ready = mediator->prepare_swaps(std::move(sockets.credentials)); !ready) return fail(ready.error());
  if (const Status ready = mediator->prepare_caps(); !ready) return fail(ready.error());
  if (const Status ready = mediator->prepare_trust(mediator->config_.egress); !ready) return fail(ready.error());
  return mediator;
}

Mediator::Mediator(asio::io_context& io, Config config, LivePolicy policy, dns::ResolverList resolvers,
                   audit::Writer audit, HostAddresses host_addresses, Descriptor supervisor,
                   std::unique_ptr<NetdLink> netd)
    : io_(io),
      config_(std::move(config)),
      policy_(std::move(policy)),
      recorder_(std::move(audit)),
      host_addresses_(std::move(host_addresses)),
      supervisor_(std::move(supervisor)),
      netd_(std::move(netd)),
      agent_(io.get_executor(), !config_.network, [this](const nlohmann::json& message) { on_agent_message(message); }),
      dns_(io.get_executor(), std::move(resolvers), recorder_, policy_, own_address(config_)),
      pool_(io.get_executor()) {
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

// Coroutines of the event loop may hold flows longer than we live; what a flow holds of ours is taken back.
Mediator::~Mediator() {
  for (const auto& [id, flow] : flows_) flow->names = {};
}

Status Mediator::prepare_swaps(Fd credentials) {
  if (config_.swaps.empty()) return {};
  auto swapper = Swapper::open(io_.get_executor(), config_.swaps, std::move(credentials));
  if (!swapper) return fail(with_context(swapper.error(), "credentials"));
  swapper_ = std::move(*swapper);
  return {};
}

Status Mediator::prepare_caps() {
  auto caps = Caps::open(config_.audit_file.parent_path() / kUsageFile,
                         [this](const flow::Limits& limits) { netd_->limit(limits); });
  if (!caps) return fail(caps.error());
  caps_.emplace(std::move(*caps));
  return caps_->apply(policy_.policy());
}

// Once a guest trusts an authority it goes on to, whatever the policy becomes: it costs nothing, and connections that
// it has may still be read.
Status Mediator::prepare_trust(const policy::PolicyText& policy) {
  if (interceptor_) return {};
  const auto file = config_.audit_file.parent_path() / kAuthorityFile;
  const bool intercepts = policy::may_intercept(policy) || swapper_;
  // Of a copy out of a stopped workspace nothing is known but that it has no network: the authority stays as it is.
  if (!intercepts && !config_.network) return {};
  if (!intercepts) return forget_authority(file);
  auto authority = keep_authority(file, config_.workspace);
  if (!authority) return fail(with_context(authority.error(), "certificate authority"));
  auto made = Interceptor::make(std::move(*authority), {{}, config_.trust});
  if (!made) return fail(with_context(made.error(), "interception"));
  interceptor_.emplace(std::move(*made));
  agent_.trust({interceptor_->authority().certificate_pem(), interceptor_->authority().subject_hash()});
  return {};
}

Status Mediator::record_policy() {
  const policy::Policy& policy = policy_.policy();
  Record record{audit::Event::listen, audit::Fields::object()};
  record.fields["version"] = policy_.version();
  record.fields["mode"] = policy::to_string(policy.mode());
  record.fields["lockAllowlist"] = policy.lock_allowlist();
  if (policy.observe()) record.fields["observe"] = true;
  std::size_t rules = 0;
  for (const policy::List list : {policy::List::deny, policy::List::passthrough, policy::List::allow}) {
    rules += policy.list(list).rules().size();
  }
  record.fields["rules"] = rules;
  if (swapper_) record.fields["swaps"] = config_.swaps.all().size();
  if (interceptor_) recorder_.write_later(0, record);
  const Record& last = interceptor_ ? Record{audit::Event::mitm_enabled, audit::Fields::object()} : record;
  if (recorder_.write(0, last)) return {};
  return fail(ErrorKind::permanent, "the audit log cannot be written");
}

void Mediator::start() {
  spawn(io_.get_executor(), serve_supervisor());
  spawn(io_.get_executor(), serve_netd());
  spawn(io_.get_executor(), write_counts());
  recorder_.set_on_later([this] {
    asio::post(io_, [this, alive = std::weak_ptr(alive_)] {
      if (!alive.expired()) recorder_.flush();
    });
  });
  nlohmann::json ready = nlohmann::json::object();
  ready["type"] = "ready";
  supervisor_.send(ready);
  if (mediation_) mediation_->start();
}

asio::awaitable<void> Mediator::serve_supervisor() {
  const std::string why = co_await supervisor_.receive(
      [this](const nlohmann::json& message, Fd fd) { on_supervisor_message(message, std::move(fd)); });
  end(why);
}

asio::awaitable<void> Mediator::serve_netd() {
  const std::string why = co_await netd_->receive([this](const flow::Message& message) { return on_message(message); });
  end(why);
}

asio::awaitable<void> Mediator::write_counts() {
  asio::steady_timer timer(io_);
  for (;;) {
    timer.expires_after(Recorder::kSweep);
    co_await timer.async_wait(kAsTuple);
    const auto now = std::chrono::steady_clock::now();
    recorder_.write_counts(now);
    if (recorder_.can_write()) write_open_requests(now);
  }
}

// No further record can come, so what is still open is closed here rather than at the next start.
void Mediator::end(std::string_view why) {
  log_info("{}: ending", why);
  recorder_.flush();
  recorder_.write_all_counts();
  if (const Status status = recorder_.close_open_flows(); !status) log_error("{}", status.error().message);
  if (const Status status = caps_->settle(); !status) log_error("{}", status.error().message);
  io_.stop();
}

std::string Mediator::on_message(const flow::Message& message) {
  if (const auto open = message.as<flow::Open>()) return on_open(message.header.flow, *open);
  if (const auto first = message.as<flow::FirstBytes>()) {
    return on_first_bytes(message.header.flow, *first, message.trailing);
  }
  if (const auto closed = message.as<flow::Closed>()) {
    on_closed(message.header.flow, *closed);
    return {};
  }
  if (const auto usage = message.as<flow::Usage>()) {
    if (const Status status = caps_->on_usage(*usage); !status) log_error("{}", status.error().message);
    return {};
  }
  if (const auto dropped = message.as<flow::Dropped>()) {
    recorder_.write(0, dropped_record(dropped->ip_protocol, dropped->packets));
    return {};
  }
  return "netd sent a message that is not its to send";
}

std::string Mediator::on_open(flow::FlowId id, const flow::Open& open) {
  if ((id & flow::kDialledBit) != 0 || flows_.contains(id)) return "netd opened a flow under a number it may not use";
  const auto flow = std::make_shared<LiveFlow>();
  flow->id = id;
  flow->open = open;
  if (flows_.size() >= kMaxFlows) {
    deny(flow, denial("too many flows", fmt::format("at most {} flows at once", kMaxFlows)));
    return {};
  }
  flows_.emplace(id, flow);
  spawn(io_.get_executor(), tell(flow));
  return {};
}

// First bytes that cross our verdict are void, as is their flow's end (flow/messages.h).
std::string Mediator::on_first_bytes(flow::FlowId id, const flow::FirstBytes& first, ByteView bytes) {
  if (bytes.size() > flow::kMaxPeek) return "netd told more first bytes than there can be";
  const auto found = flows_.find(id);
  if (found == flows_.end() || !found->second->look) return {};
  Look& look = *found->second->look;
  look.guest_ended = look.guest_ended || first.ended != 0;
  look.reader.feed(bytes);
  look.wake.cancel();
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
  const auto found = flows_.find(id);
  if (found == flows_.end()) return;
  const FlowPtr flow = found->second;
  // A flow that netd still waits to hear of ends by its verdict, so this changes nothing.
  if (flow->phase == Phase::asked) return warnings_.warn("netd closed a flow before its verdict");
  flows_.erase(found);
  flow->names = {};
  flow->closed = closed;
  const Phase before = std::exchange(flow->phase, Phase::gone);
  if (before == Phase::looking) {
    if (flow->look) flow->look->wake.cancel();
    return;
  }
  if (flow->mediation) {
    mediation_->release(closed.end == flow::End::host_reset);
    recorder_.write(flow->audit_flow, mediation_close_record(flow->open, closed));
    return;
  }
  if (closed.end == flow::End::capped) {
    if (const auto hit = caps_->take_hit(flow->budget)) recorder_.write(0, cap_record(flow->open, flow->host, *hit));
  }
  leave_caps(*flow, closed.bytes_out, closed.bytes_in);
  if (flow->relay) {
    flow->relay->expires_after(closed.end == flow::End::finished ? kRelayLinger : kAtOnce);
    return;
  }
  if (flow->audit_flow != 0) recorder_.write_later(flow->audit_flow, close_record(flow->open, flow->host, closed));
}

std::string Mediator::policy_answer(const http::RequestHead& request) const {
  const bool head = request.method == "HEAD";
  if (!head && request.method != "GET") return plain_response("405 Method Not Allowed", "only GET and HEAD\n");
  if (request.path != "/") return plain_response("404 Not Found", "there is only /\n");
  return policy_page(policy_, recorder_.denials(), request.wants_json, head);
}

}  // namespace microagent::mediator
