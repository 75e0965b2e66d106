#include "netd/peers.h"

namespace microagent::netd {

Peers::Peers(Fd supervisor, Fd mediator) : supervisor_(std::move(supervisor)), mediator_(std::move(mediator)) {}

std::optional<flow::FlowId> Peers::dialled(Peer peer, flow::FlowId flow) {
  if ((flow & flow::kDialledBit) == 0 || (flow & kSupervisorBit) != 0) return std::nullopt;
  return peer == Peer::supervisor ? flow | kSupervisorBit : flow;
}

void Peers::closed(flow::FlowId flow, const flow::Closed& closed) {
  const bool by_supervisor = (flow & flow::kDialledBit) != 0 && (flow & kSupervisorBit) != 0;
  if (by_supervisor) return supervisor_out_.closed(flow & ~kSupervisorBit, closed);
  mediator_out_.closed(flow, closed);
}

}  // namespace microagent::netd
