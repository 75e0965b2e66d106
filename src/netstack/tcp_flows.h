#pragma once

#include <memory>
#include <optional>

#include "base/fd.h"
#include "netstack/environment.h"
#include "netstack/packet.h"

namespace microagent::netstack {

// Every TCP connection between the guest and a host descriptor.
class TcpFlows {
 public:
  explicit TcpFlows(Environment& environment);
  ~TcpFlows();

  // A packet whose protocol is TCP.
  void on_packet(Packet& packet);
  // An ICMP error of the guest about a segment of ours: `quoted` are the first bytes of that segment's TCP header,
  // `from` and `to` its addresses. Hard errors end a connection that is being dialled only (RFC 5927).
  void on_icmp_error(const wire::IpAddress& from, const wire::IpAddress& to, ByteView quoted, bool hard);

  void on_splice(FlowId flow, Fd fd, BudgetId budget = kNoBudget);
  void on_refuse(FlowId flow, Refusal refusal);
  void on_drop(FlowId flow);
  void on_peek(FlowId flow, std::size_t limit);
  void dial(FlowId flow, const GuestService& service, Fd fd);
  // False when the flow is none of these.
  bool kill(FlowId flow);
  void kill_all();

  // `token` as it was given to Upcalls::watch.
  void on_descriptor(std::uint64_t token, std::uint32_t epoll_events);
  void on_wire_room();
  // Connections that their budgets refused bytes try again.
  void on_budget();
  // What was put off (acknowledgements) goes out.
  void flush(Round round = Round::last);
  // Whether some of it may wait for another round.
  bool puts_off() const;
  void on_time();  // environment.now_ns
  std::optional<std::uint64_t> next_deadline() const;

  // Bytes of the guest that wait in our memory, over all connections.
  std::size_t bytes_waiting() const;

 private:
  struct Impl;
  std::unique_ptr<Impl> impl_;
};

}  // namespace microagent::netstack
