// Mediator's story of one flow: from netd's question to a verdict, as one coroutine.
//
// The upstream of a TCP flow is dialled while the guest still waits for the answer to its SYN, so that what the
// upstream says is what the guest hears. Only then the guest's first bytes are looked at, with the upstream connection
// in hand: whichever side speaks first settles what the flow is, and nobody who has something to say is kept waiting.

#include <fmt/format.h>

#include <algorithm>
#include <boost/asio/as_tuple.hpp>
#include <boost/asio/use_awaitable.hpp>
#include <utility>

#include "mediator/dial.h"
#include "mediator/endpoint.h"
#include "mediator/guest_http.h"
#include "mediator/io.h"
#include "mediator/mediation_records.h"
#include "mediator/mediator.h"
#include "policy/host.h"

namespace microagent::mediator {
namespace {

using Phase = LiveFlow::Phase;
using policy::Content;

constexpr std::uint16_t kHttpPort = 80;

// How a denial sounds: streams are reset, the others get ICMP.
flow::Refusal refusal_for(flow::Protocol protocol) {
  const bool stream = protocol == flow::Protocol::tcp || protocol == flow::Protocol::vsock;
  return stream ? flow::Refusal::reset : flow::Refusal::admin_prohibited;
}

Denial ambiguous(const FirstWords& words) {
  return denial("ambiguous: " + words.fault, "names: everybody must read the same one",
                policy::Signal::name_destination_mismatch);
}

// A name stands behind it, so the guest may be a person's tool that should learn why.
bool denies_by_name(const policy::Decision& decision, const policy::Facts& facts) {
  if (decision.rule) return decision.rule->kind != policy::Rule::Kind::prefix;
  return decision.reason == policy::Reason::not_listed && !facts.bound_names.empty();
}

// How long to wait for news: the first of the deadlines that matter now.
Deadline next_deadline(const LookTiming& timing, const Look& look, Deadline began, bool names_matter) {
  if (look.reader.waits_for_server()) return began + timing.settings_patience;
  return began + (names_matter ? timing.silence_limit : timing.patience);
}

}  // namespace

asio::awaitable<void> Mediator::tell(FlowPtr flow) {
  if (const Status status = host_addresses_.refresh(surroundings_.host); !status) {
    co_return deny(flow, denial(status.error().message, "the host's addresses must be known"));
  }
  if (quarantined_) co_return deny(flow, denial("quarantined", "quarantine"));
  Judgement judgement = judge(config_, policy_.policy().mode(), flow->open);
  flow->facts = std::move(judgement.facts);
  switch (judgement.service) {
    case Service::none: co_return deny(flow, std::move(judgement.denial));
    case Service::agent: co_return serve(flow, agent_.accept());
    case Service::dns: {
      const bool udp = flow->open.protocol == flow::Protocol::udp;
      const DnsService::Asker asker{udp ? dns::Transport::udp : dns::Transport::tcp, recorder_.new_flow(),
                                    judgement.foreign_resolver};
      co_return serve(flow, dns_.serve(asker));
    }
    case Service::page: {
      auto stream = open_guest_stream(io_.get_executor());
      if (!stream) co_return serve(flow, fail(stream.error()));
      spawn(io_.get_executor(), serve_request(std::move(stream->ours), [this](const http::RequestHead& request) {
              return policy_answer(request);
            }));
      co_return serve(flow, std::move(stream->guests));
    }
    case Service::mediation: co_return co_await tell_mediation(std::move(flow), std::move(judgement.rule));
    case Service::upstream: co_await tell_upstream(std::move(flow));
  }
}

asio::awaitable<void> Mediator::tell_upstream(FlowPtr flow) {
  flow->names = dns_.pin(flow->facts.destination);
  flow->facts.bound_names = dns_.names_of(flow->facts.destination);
  policy::Decision decision = decide(*flow);
  const std::uint64_t version = policy_.version();
  flow->host = decision.host;
  if (!decision.allowed()) {
    const bool http = flow->open.protocol == flow::Protocol::tcp && flow->facts.port == kHttpPort;
    Denial denied = denial_of(decision);
    if (!http || !denies_by_name(decision, flow->facts)) co_return deny(flow, std::move(denied));
    co_return co_await explain_at_syn(std::move(flow), std::move(denied));
  }
  const auto admitted = caps_->admit(decision.rule);
  if (!admitted) co_return deny_by_cap(flow, admitted.error());
  flow->admitted = true;
  flow->budget = *admitted;

  const std::string address = endpoint_text(flow->open.destination, flow->open.protocol);
  if (decision.verdict == policy::Verdict::peek && worth_a_look(*flow) && pool_.leads_to(address)) {
    co_return co_await tell_dialled(std::move(flow), decision, Fd());
  }
  auto dialled =
      co_await dial({flow->open.protocol, flow->facts.destination, flow->facts.port.value_or(0)}, in(kDialTimeout));
  if (!dialled) {
    recorder_.write(recorder_.new_flow(), dial_error_record(flow->open, flow->host, dialled.error().text));
    co_return refuse(flow, dialled.error().refusal);
  }
  if (quarantined_) co_return deny(flow, denial("quarantined", "quarantine"));
  if (version != policy_.version()) decision = decide(*flow);
  if (!decision.allowed()) co_return deny(flow, denial_of(decision));
  if (decision.verdict == policy::Verdict::peek) {
    co_return co_await tell_dialled(std::move(flow), decision, std::move(*dialled));
  }
  allow(flow, decision, std::move(*dialled));
}

// A TCP flow with its upstream in hand, and nothing against its address.
asio::awaitable<void> Mediator::tell_dialled(FlowPtr flow, policy::Decision decision, Fd upstream) {
  FirstWords words;
  if (worth_a_look(*flow)) {
    auto looked = co_await look(flow, &upstream);
    if (flow->phase == Phase::gone) co_return account_for_gone(flow, decision);
    if (!looked) co_return deny(flow, std::move(looked.error()));
    words = std::move(*looked);
  } else {
    words.content = Content::opaque;
  }
  flow->facts.content = words.content;
  flow->facts.name = words.name;
  if (!words.fault.empty() && !policy_.policy().observe()) {
    co_return deny_with_words(flow, ambiguous(words), words);
  }
  co_await bind_name(flow);
  if (flow->phase == Phase::gone) co_return account_for_gone(flow, decision);

  if (quarantined_) co_return deny(flow, denial("quarantined", "quarantine"));
  flow->swap = swap_for(flow->facts);
  flow->facts.swap = flow->swap != nullptr;
  decision = decide(*flow);
  flow->host = decision.host;
  switch (decision.verdict) {
    case policy::Verdict::deny: co_return deny_with_words(flow, denial_of(decision), words);
    case policy::Verdict::intercept:
    case policy::Verdict::peek:
    case policy::Verdict::splice: break;
  }
  if (auto denied = readmit(*flow, decision.rule)) co_return deny_with_words(flow, std::move(*denied), words);
  if (decision.verdict == policy::Verdict::intercept) {
    co_return co_await intercept(std::move(flow), std::move(decision), std::move(upstream), std::move(words));
  }
  if (!upstream) upstream = co_await dial_late(flow, decision);
  if (upstream) allow(flow, decision, std::move(upstream));
}

// The kept connection that this flow might have taken is not for it.
asio::awaitable<Fd> Mediator::dial_late(FlowPtr flow, policy::Decision decision) {
  const std::uint64_t version = policy_.version();
  auto dialled =
      co_await dial({flow->open.protocol, flow->facts.destination, flow->facts.port.value_or(0)}, in(kDialTimeout));
  if (flow->phase == Phase::gone) {
    account_for_gone(flow, decision);
  } else if (!dialled) {
    recorder_.write(recorder_.new_flow(), dial_error_record(flow->open, flow->host, dialled.error().text));
    refuse(flow, dialled.error().refusal);
  } else if (quarantined_) {
    deny(flow, denial("quarantined", "quarantine"));
  } else if (version != policy_.version() && decide(*flow).verdict != decision.verdict) {
    deny(flow, denial("the policy has changed", "policy"));
  } else {
    co_return std::move(*dialled);
  }
  co_return Fd();
}

asio::awaitable<void> Mediator::tell_mediation(FlowPtr flow, std::string rule) {
  const std::uint64_t audit_flow = recorder_.new_flow();
  if (mediation_->full()) {
    const std::string reason = fmt::format("at most {} connections at once", MediationChannel::kMaxConnections);
    recorder_.write(audit_flow, mediation_deny_record(flow->open, reason, rule));
    co_return refuse(flow, flow::Refusal::reset);
  }
  if (!recorder_.write(audit_flow, mediation_open_record(flow->open, rule))) {
    co_return refuse(flow, flow::Refusal::reset);
  }
  auto dialled = co_await mediation_->connect(flow->open.packets != 0 ? Delivery::packets : Delivery::stream);
  if (!dialled) {
    recorder_.write(audit_flow, mediation_dial_error_record(flow->open, dialled.error().text));
    co_return refuse(flow, flow::Refusal::reset);
  }
  flow->audit_flow = audit_flow;
  flow->mediation = true;
  splice(flow, std::move(*dialled));
}

// Denied at the SYN for its name's sake, on the port of HTTP: the guest is accepted to be told why, and by which rule.
asio::awaitable<void> Mediator::explain_at_syn(FlowPtr flow, Denial denied) {
  auto looked = co_await look(flow, nullptr);
  if (looked) co_return deny_with_words(flow, std::move(denied), *looked);
  deny(flow, std::move(denied));
}

asio::awaitable<tl::expected<FirstWords, Denial>> Mediator::look(FlowPtr flow, Fd* upstream) {
  flow->look = std::make_unique<Look>(io_.get_executor());
  flow->phase = Phase::looking;
  Look& look = *flow->look;
  std::optional<Descriptor> watched;
  if (upstream != nullptr && *upstream) {
    auto descriptor = watch(io_.get_executor(), std::move(*upstream));
    if (!descriptor) {
      flow->look.reset();
      co_return tl::unexpected(denial(descriptor.error().message, "resources"));
    }
    watched.emplace(std::move(*descriptor));
    watched->async_wait(Descriptor::wait_read, [flow](const boost::system::error_code& error) {
      if (error || !flow->look) return;
      flow->look->upstream_spoke = true;
      flow->look->wake.cancel();
    });
  }
  netd_->peek(flow->id);

  const auto must_know = [&] { return upstream != nullptr && names_matter(*flow); };
  const Deadline began = std::chrono::steady_clock::now();
  bool silent = false;
  while (flow->phase == Phase::looking && !look.reader.settled() && !look.upstream_spoke && !look.guest_ended) {
    const Deadline deadline = next_deadline(config_.look, look, began, must_know());
    silent = std::chrono::steady_clock::now() >= deadline;
    if (silent) break;
    look.wake.expires_at(deadline);
    co_await look.wake.async_wait(kAsTuple);
  }
  if (watched) upstream->reset(watched->release());
  const bool too_silent = silent && !look.reader.waits_for_server() && must_know() && !policy_.policy().observe();
  look.reader.give_up();
  FirstWords words = look.reader.words();
  flow->look.reset();
  if (too_silent) co_return tl::unexpected(denial("silent", "names: whom the flow is for must be known"));
  co_return words;
}

// A name that is not bound to the address by an answer of ours may have become so, or have been learned elsewhere.
asio::awaitable<void> Mediator::bind_name(FlowPtr flow) {
  const auto name = policy::unbound_name(flow->facts);
  if (!name || policy_.policy().mode() == policy::Mode::off) co_return;
  if (!policy::decide_lookup(policy_.policy(), *name).allowed()) co_return;
  if (co_await dns_.resolves_to(*name, flow->facts.destination)) flow->facts.bound_names.push_back(*name);
}

policy::Decision Mediator::decide(const LiveFlow& flow) const {
  return policy::decide(policy_.policy(), surroundings_, flow.facts);
}

// HTTP/2's CONNECT with a protocol is what GET with an upgrade is to HTTP/1, and many servers turn it into that
// (RFC 8441, 5). There is no other CONNECT here.
policy::Decision Mediator::decide(const LiveFlow& flow, policy::Request request) const {
  if (request.method == "CONNECT") request.method = "GET";
  return policy::decide_request(policy_.policy(), surroundings_, flow.facts, request);
}

// Where names do not matter a look costs a way to netd and back and changes nothing but the record. On the ports of the
// web it is worth that: one address serves many names there, and the record should say which.
bool Mediator::worth_a_look(const LiveFlow& flow) const {
  if (policy_.names_matter() || swapper_) return true;
  return std::ranges::find(config_.look.web_ports, flow.facts.port.value_or(0)) != config_.look.web_ports.end();
}

// Where a name that DNS told of the address has a swap, it makes a difference, too.
bool Mediator::names_matter(const LiveFlow& flow) const {
  const auto has_swap = [this](const std::string& name) { return swapper_->find(name) != nullptr; };
  return policy_.names_matter() || (swapper_ && std::ranges::any_of(flow.facts.bound_names, has_swap));
}

// A name that is not bound to the address grants nothing, and no credential either.
policy::SwapPtr Mediator::swap_for(const policy::Facts& facts) const {
  if (!swapper_ || facts.name.empty() || policy::unbound_name(facts)) return nullptr;
  const auto name = policy::canonical_name(facts.name);
  return name ? swapper_->find(*name) : nullptr;
}

// The record comes before the verdict: what a guest may send is in the log before it can.
void Mediator::allow(const FlowPtr& flow, const policy::Decision& decision, Fd upstream) {
  const std::uint64_t audit_flow = recorder_.new_flow();
  flow->recorded = std::move(upstream);
  recorder_.write_then(audit_flow, allow_record(flow->open, decision), [this, flow, audit_flow](bool written) {
    if (!written) return refuse(flow, refusal_for(flow->open.protocol));
    if (flow->phase == Phase::gone) return end_unspliced(flow, audit_flow);
    flow->audit_flow = audit_flow;
    splice(flow, std::move(flow->recorded));
  });
}

// One of our own services takes the flow.
void Mediator::serve(const FlowPtr& flow, Result<Fd> guests_end) {
  if (guests_end) return splice(flow, std::move(*guests_end));
  deny(flow, denial(guests_end.error().message, "services of the mediator"));
}

void Mediator::splice(const FlowPtr& flow, Fd fd) {
  flow->phase = Phase::settled;
  netd_->splice(flow->id, std::move(fd), flow->budget);
}

void Mediator::deny(const FlowPtr& flow, Denial denied) {
  write_denial(*flow, denied);
  refuse(flow, refusal_for(flow->open.protocol));
}

// A guest that spoke HTTP hears in HTTP why it is refused.
void Mediator::deny_with_words(const FlowPtr& flow, Denial denied, const FirstWords& words) {
  denied.name = policy::canonical_name(words.name).value_or("");
  if (flow->phase == Phase::gone || words.content != Content::http1) return deny(flow, std::move(denied));
  if (!write_denial(*flow, denied)) return refuse(flow, flow::Refusal::reset);
  auto stream = open_guest_stream(io_.get_executor());
  if (!stream) return refuse(flow, flow::Refusal::reset);
  leave_caps(*flow);
  std::string answer = refusal_response(denied, endpoint_text(flow->open.destination, flow->open.protocol),
                                        words.wants_json, !words.fault.empty());
  spawn(io_.get_executor(), serve_answer(std::move(stream->ours), std::move(answer)));
  splice(flow, std::move(stream->guests));
}

void Mediator::refuse(const FlowPtr& flow, flow::Refusal refusal) {
  leave_caps(*flow);
  flows_.erase(flow->id);
  flow->names = {};
  if (flow->phase == Phase::gone) return;
  flow->phase = Phase::gone;
  netd_->refuse(flow->id, flow->open.protocol == flow::Protocol::vsock ? flow::Refusal::reset : refusal);
}

// The guest gave up while it was looked at. Its upstream was dialled, so the log has it as a flow that was and ended.
void Mediator::account_for_gone(const FlowPtr& flow, const policy::Decision& decision) {
  const std::uint64_t audit_flow = recorder_.new_flow();
  if (!recorder_.write(audit_flow, allow_record(flow->open, decision))) return leave_caps(*flow);
  end_unspliced(flow, audit_flow);
}

void Mediator::end_unspliced(const FlowPtr& flow, std::uint64_t audit_flow) {
  recorder_.write_later(audit_flow, close_record(flow->open, flow->host, *flow->closed));
  leave_caps(*flow);
}

// Names the refusal and writes it down; false when it cannot be.
bool Mediator::write_denial(const LiveFlow& flow, Denial& denied) {
  if (denied.host.empty()) denied.host = flow.host.empty() ? host_text(flow.open.destination) : flow.host;
  return write_denial(flow, denied, deny_record(flow.open, denied));
}

bool Mediator::write_denial(const LiveFlow& flow, Denial& denied, Record record) {
  if (flow.audit_flow != 0) record.fields["flow"] = flow.audit_flow;
  return recorder_.refuse(denied, endpoint_text(flow.open.destination, flow.open.protocol),
                          protocol_text(flow.open.protocol), record);
}

void Mediator::deny_by_cap(const FlowPtr& flow, const CapHit& hit) { deny(flow, cap_denial(*flow, hit)); }

// Written down under a name of its own, too.
Denial Mediator::cap_denial(const LiveFlow& flow, const CapHit& hit) {
  recorder_.write_or_count("cap " + hit.cap, 0, [&] { return cap_record(flow.open, flow.host, hit); });
  return denial(fmt::format("{} is {}", hit.cap, hit.limit), "cap " + hit.cap);
}

// The name may have led to another rule, with caps of its own.
std::optional<Denial> Mediator::readmit(LiveFlow& flow, const policy::RulePtr& rule) {
  leave_caps(flow);
  const auto admitted = caps_->admit(rule);
  if (!admitted) return cap_denial(flow, admitted.error());
  flow.admitted = true;
  flow.budget = *admitted;
  return std::nullopt;
}

void Mediator::leave_caps(LiveFlow& flow, std::uint64_t bytes_out, std::uint64_t bytes_in) {
  if (!std::exchange(flow.admitted, false)) return;
  caps_->release(flow.budget, bytes_out, bytes_in);
  flow.budget = flow::kNoBudget;
}

}  // namespace microagent::mediator
