#pragma once

#include <boost/asio/io_context.hpp>
#include <unordered_map>

#include "audit/writer.h"
#include "mediator/config.h"
#include "mediator/dns_service.h"
#include "mediator/guest_agent.h"
#include "mediator/host_addresses.h"
#include "mediator/judge.h"
#include "mediator/log_limit.h"
#include "mediator/mediation_channel.h"
#include "mediator/netd_link.h"
#include "mediator/records.h"
#include "mediator/result_fetch.h"
#include "mediator/supervisor_link.h"

namespace microagent::mediator {

// The story of every flow: judge, record, dial, verdict, and the record of its end. Fails closed: whatever goes wrong
// with the audit log or the host's addresses refuses flows, and the end of either channel ends the event loop.
class Mediator {
 public:
  struct Sockets {
    Fd supervisor;
    Fd netd;
  };

  // The mediator must outlive the run of `io`, and `io` the mediator.
  static Result<std::unique_ptr<Mediator>> open(asio::io_context& io, Config config, dns::ResolverList resolvers,
                                                Sockets sockets);

  // Announces itself to the supervisor and serves until `io` stops.
  void start();

 private:
  struct Flow {
    flow::Open open;
    std::uint64_t audit_flow = 0;  // 0: nothing to record at its end
    bool spliced = false;          // false: netd waits for the verdict
    bool mediation = false;        // one of the mediation channel's
  };

  Mediator(asio::io_context& io, Config config, dns::ResolverList resolvers, audit::Writer audit,
           HostAddresses host_addresses, Descriptor supervisor, std::unique_ptr<NetdLink> netd);

  asio::awaitable<void> serve_netd();
  asio::awaitable<void> serve_supervisor();
  // What is wrong with a message of netd's; empty when nothing is.
  std::string on_message(const flow::Message& message);
  std::string on_open(flow::FlowId id, const flow::Open& open);
  void on_closed(flow::FlowId id, const flow::Closed& closed);

  asio::awaitable<void> tell(flow::FlowId id, flow::Open open);
  asio::awaitable<void> tell_upstream(flow::FlowId id, flow::Open open, Judgement judgement);
  asio::awaitable<void> tell_mediation(flow::FlowId id, flow::Open open, Judgement judgement);
  void serve(flow::FlowId id, const flow::Open& open, Result<Fd> guests_end);
  void splice(flow::FlowId id, Fd fd);
  void deny(flow::FlowId id, const flow::Open& open, const Judgement& judgement);
  void refuse(flow::FlowId id, flow::Protocol protocol, flow::Refusal refusal);
  bool record(std::uint64_t audit_flow, const Record& record);
  void on_agent_message(const nlohmann::json& message);
  void on_result(const Result<std::size_t>& kept);
  void end(std::string_view why);

  asio::io_context& io_;
  Config config_;
  audit::Writer audit_;
  HostAddresses host_addresses_;
  policy::Surroundings surroundings_;
  SupervisorLink supervisor_;
  std::unique_ptr<NetdLink> netd_;
  GuestAgent agent_;
  DnsService dns_;
  std::optional<MediationChannel> mediation_;
  std::optional<ResultFetch> result_;
  std::unordered_map<flow::FlowId, Flow> flows_;
  LogLimit warnings_;
};

}  // namespace microagent::mediator
