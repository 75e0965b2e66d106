#pragma once

#include "flow/channel.h"
#include "netd/outbox.h"

namespace microagent::netd {

enum class Peer : std::uint8_t { supervisor, mediator };

// The two processes that netd talks to, and whose flow is whose. Both number the flows they dial by themselves, so here
// the supervisor's carry a mark of their own.
class Peers {
 public:
  Peers(Fd supervisor, Fd mediator);

  flow::Channel& channel(Peer peer) { return peer == Peer::supervisor ? supervisor_ : mediator_; }

  // The number by which the flow that `peer` calls `flow` is known inside netd; nothing when the number cannot be one
  // of a dialled flow.
  static std::optional<flow::FlowId> dialled(Peer peer, flow::FlowId flow);

  // False when the flow must be refused because the mediator does not keep up.
  [[nodiscard]] bool open(flow::FlowId flow, const flow::Open& open) { return mediator_out_.open(flow, open); }
  void first_bytes(flow::FlowId flow, bool ended, std::vector<std::uint8_t> bytes) {
    mediator_out_.first_bytes(flow, flow::FirstBytes{ended ? std::uint8_t{1} : std::uint8_t{0}}, std::move(bytes));
  }
  void usage(const flow::Usage& usage) { mediator_out_.number(usage); }
  void dropped(const flow::Dropped& dropped) { mediator_out_.number(dropped); }
  // Tells the one who dialled it, or the mediator for a flow that the guest opened.
  void closed(flow::FlowId flow, const flow::Closed& closed);

  bool waits(Peer peer) const { return peer == Peer::supervisor ? supervisor_out_.waits() : mediator_out_.waits(); }
  void drain(Peer peer) { peer == Peer::supervisor ? supervisor_out_.drain() : mediator_out_.drain(); }
  bool broken() const { return supervisor_out_.broken() || mediator_out_.broken(); }

 private:
  static constexpr flow::FlowId kSupervisorBit = flow::FlowId{1} << 62;

  flow::Channel supervisor_, mediator_;
  Outbox supervisor_out_{supervisor_}, mediator_out_{mediator_};
};

}  // namespace microagent::netd
