#pragma once

#include <boost/asio/io_context.hpp>

#include "http/message.h"
#include "mediator/caps.h"
#include "mediator/config.h"
#include "mediator/dial.h"
#include "mediator/dns_service.h"
#include "mediator/explanation.h"
#include "mediator/guest_agent.h"
#include "mediator/host_addresses.h"
#include "mediator/interceptor.h"
#include "mediator/judge.h"
#include "mediator/live_flow.h"
#include "mediator/live_policy.h"
#include "mediator/log_limit.h"
#include "mediator/mediation_channel.h"
#include "mediator/netd_link.h"
#include "mediator/recorder.h"
#include "mediator/records.h"
#include "mediator/relay_memory.h"
#include "mediator/result_fetch.h"
#include "mediator/supervisor_link.h"
#include "mediator/swapper.h"
#include "mediator/upstream_pool.h"
#include "tls/authority.h"

namespace microagent::mediator {

// The story of every flow: judge, dial, look at the first bytes, judge again, record, verdict, and the record of its
// end. Fails closed: whatever goes wrong with the audit log or the host's addresses refuses flows, and the end of
// either channel ends the event loop.
class Mediator {
 public:
  struct Sockets {
    Fd supervisor;
    Fd netd;
    Fd credentials;  // to the process that holds the secrets; none where there are no swaps
  };

  // The mediator must outlive the run of `io`, and `io` the mediator.
  static Result<std::unique_ptr<Mediator>> open(asio::io_context& io, Config config, dns::ResolverList resolvers,
                                                Sockets sockets);

  ~Mediator();

  // Writes down what policy decisions are made by from now on.
  Status record_policy();

  // Announces itself to the supervisor and serves until `io` stops.
  void start();

 private:
  Mediator(asio::io_context& io, Config config, LivePolicy policy, dns::ResolverList resolvers, audit::Writer audit,
           HostAddresses host_addresses, Descriptor supervisor, std::unique_ptr<NetdLink> netd);

  Status prepare_swaps(Fd credentials);
  Status prepare_caps();
  // Whom the guest has to trust under this policy; made where interception begins.
  Status prepare_trust(const policy::PolicyText& policy);

  // The two links (mediator.cc).
  asio::awaitable<void> serve_netd();
  asio::awaitable<void> serve_supervisor();
  // What is wrong with a message of netd's; empty when nothing is.
  std::string on_message(const flow::Message& message);
  std::string on_open(flow::FlowId id, const flow::Open& open);
  std::string on_first_bytes(flow::FlowId id, const flow::FirstBytes& first, ByteView bytes);
  void on_closed(flow::FlowId id, const flow::Closed& closed);
  asio::awaitable<void> write_counts();
  void on_agent_message(const nlohmann::json& message);
  void on_result(const Result<std::size_t>& kept);
  void end(std::string_view why);

  // What people ask and order (supervisor_requests.cc).
  void on_supervisor_message(const nlohmann::json& message, Fd fd);
  Result<nlohmann::json> change_policy(Fd file);
  std::size_t end_forbidden_flows();
  bool is_forbidden(const LiveFlow& flow) const;
  nlohmann::json status() const;
  Result<nlohmann::json> quarantine();
  asio::awaitable<void> explain(std::uint64_t id, nlohmann::json question);
  policy::Decision explained(policy::Facts facts) const;

  // The story of one flow (story.cc).
  asio::awaitable<void> tell(FlowPtr flow);
  asio::awaitable<void> tell_upstream(FlowPtr flow);
  asio::awaitable<void> tell_mediation(FlowPtr flow, std::string rule);
  // Without `upstream` where a connection is kept that may do; it is dialled once that is known not to.
  asio::awaitable<void> tell_dialled(FlowPtr flow, policy::Decision decision, Fd upstream);
  // None where the flow has come to its end instead.
  asio::awaitable<Fd> dial_late(FlowPtr flow, policy::Decision decision);
  asio::awaitable<void> explain_at_syn(FlowPtr flow, Denial denial);
  // Looks at the first bytes until they are settled or need not be; the words, or what keeps the flow from going on.
  asio::awaitable<tl::expected<FirstWords, Denial>> look(FlowPtr flow, Fd* upstream);
  asio::awaitable<void> bind_name(FlowPtr flow);
  policy::Decision decide(const LiveFlow& flow) const;
  policy::Decision decide(const LiveFlow& flow, policy::Request request) const;
  bool worth_a_look(const LiveFlow& flow) const;
  bool names_matter(const LiveFlow& flow) const;
  policy::SwapPtr swap_for(const policy::Facts& facts) const;

  // The story of one flow whose requests are read (intercept.cc).
  class Gate;
  asio::awaitable<void> intercept(FlowPtr flow, policy::Decision decision, Fd upstream, FirstWords words);
  void tell_upstream_failure(FlowPtr flow, UpstreamFailure failure, std::string name, FirstWords words);
  asio::awaitable<void> tell_why(FlowPtr flow, Descriptor guest, UpstreamFailure failure, std::string name, bool page);
  // `clear` is the upstream of a flow without TLS.
  void begin_relay(FlowPtr flow, policy::Decision decision, StreamPtr clear, FirstWords words);
  std::optional<RelayMemory::Share> memory_for(const LiveFlow& flow, policy::Content content);
  asio::awaitable<void> relay(FlowPtr flow, Descriptor guest, StreamPtr clear, policy::Content content);
  void note_wordless(const LiveFlow& flow, SocketStream& guest, Deadline at_sight);
  asio::awaitable<void> relay_inside(FlowPtr flow, Stream& guest);
  asio::awaitable<void> relay_translated(FlowPtr flow, Stream& guest);
  asio::awaitable<void> relay_as(FlowPtr flow, Stream& guest, Stream& upstream, http::Scheme scheme,
                                 policy::Content content);
  asio::awaitable<void> wait_until_gone(FlowPtr flow);
  void end_relay(const FlowPtr& flow);

  // Its connections to the upstream (intercept_upstream.cc).
  UpstreamKey upstream_key(const LiveFlow& flow) const;
  UpstreamLease take_upstream(LiveFlow& flow);
  bool may_go_on_with(const LiveFlow& flow, const UpstreamConnection& kept);
  void keep_upstream(const LiveFlow& flow, UpstreamLease lease);
  asio::awaitable<Interceptor::Connected> connect_upstream(FlowPtr flow, Fd upstream, std::vector<std::string> offer);
  asio::awaitable<Interceptor::Connected> connect_in_any_version(FlowPtr flow, Fd upstream);
  asio::awaitable<tl::expected<Fd, DialError>> dial_again(const LiveFlow& flow);
  asio::awaitable<tl::expected<Stream*, UpstreamFailure>> replace_upstream(FlowPtr flow, UpstreamLease& lease);
  static bool is_as_before(const LiveFlow& flow, std::string_view alpn);

  // How it goes on.
  void allow(const FlowPtr& flow, const policy::Decision& decision, Fd upstream);
  void serve(const FlowPtr& flow, Result<Fd> guests_end);
  void deny(const FlowPtr& flow, Denial denial);
  void deny_with_words(const FlowPtr& flow, Denial denial, const FirstWords& words);
  void refuse(const FlowPtr& flow, flow::Refusal refusal);
  void splice(const FlowPtr& flow, Fd fd);
  void account_for_gone(const FlowPtr& flow, const policy::Decision& decision);
  void end_unspliced(const FlowPtr& flow, std::uint64_t audit_flow);
  bool write_denial(const LiveFlow& flow, Denial& denial);
  bool write_denial(const LiveFlow& flow, Denial& denial, Record record);
  void deny_by_cap(const FlowPtr& flow, const CapHit& hit);
  Denial cap_denial(const LiveFlow& flow, const CapHit& hit);
  std::optional<Denial> readmit(LiveFlow& flow, const policy::RulePtr& rule);
  void leave_caps(LiveFlow& flow, std::uint64_t bytes_out = 0, std::uint64_t bytes_in = 0);
  // What goes on for so long that its record cannot wait for its end (intercept_gate.cc).
  void write_open_requests(std::chrono::steady_clock::time_point now);
  std::string policy_answer(const http::RequestHead& request) const;

  asio::io_context& io_;
  Config config_;
  LivePolicy policy_;
  Recorder recorder_;
  HostAddresses host_addresses_;
  policy::Surroundings surroundings_;
  SupervisorLink supervisor_;
  std::unique_ptr<NetdLink> netd_;
  GuestAgent agent_;
  DnsService dns_;
  std::optional<MediationChannel> mediation_;
  std::optional<ResultFetch> result_;
  std::optional<Caps> caps_;
  std::optional<Interceptor> interceptor_;  // where the policy or a swap wants requests to be read
  std::unique_ptr<Swapper> swapper_;        // where there are swaps
  FlowTable flows_;
  UpstreamPool pool_;
  RelayMemory memory_;
  bool quarantined_ = false;
  LogLimit warnings_;
  std::shared_ptr<const bool> alive_ = std::make_shared<const bool>(true);  // for what the event loop destroys after us
};

}  // namespace microagent::mediator
