// Daemon's other half: what the supervisor and the mediator say.

#include <fcntl.h>
#include <fmt/format.h>

#include "netd/daemon.h"
#include "netd/translate.h"

namespace microagent::netd {
namespace {

Status unexpected(const flow::Message& message) {
  return fail(ErrorKind::permanent,
              fmt::format("unexpected message of type {}", static_cast<unsigned>(message.header.type)));
}

netstack::GuestService service_of(const flow::Dial& dial) {
  using Family = wire::IpAddress::Family;
  const bool by_ipv6 = dial.peer.family == flow::Family::ipv6;
  return {static_cast<std::uint16_t>(dial.guest_port), by_ipv6 ? Family::ipv6 : Family::ipv4};
}

// The far ends of our flows never block us.
bool make_nonblocking(const Fd& fd) {
  const int flags = ::fcntl(fd.get(), F_GETFL);
  if (flags < 0) return false;
  return (flags & O_NONBLOCK) != 0 || ::fcntl(fd.get(), F_SETFL, flags | O_NONBLOCK) == 0;
}

}  // namespace

Status Daemon::on_peer(Peer peer) {
  peers_.drain(peer);
  flow::Message message;
  while (true) {
    switch (peers_.channel(peer).receive(message)) {
      case flow::Receive::would_block: return {};
      case flow::Receive::broken: return fail(ErrorKind::permanent, "malformed message from a peer");
      case flow::Receive::closed: ended_ = true; return {};
      case flow::Receive::message: break;
    }
    if (Status handled = on_message(peer, message); !handled) return handled;
  }
}

Status Daemon::on_message(Peer peer, flow::Message& message) {
  const flow::FlowId flow = message.header.flow;
  if (const auto dial = message.as<flow::Dial>()) {
    return on_dial(peer, flow, *dial, std::move(message.fd), message.trailing);
  }
  if (message.as<flow::Kill>()) return on_kill(peer, flow), Status();
  if (message.as<flow::Sever>()) return sever(), Status();
  if (peer == Peer::mediator) {
    if (const auto limits = message.as<flow::Limits>()) return on_limits(*limits);
    const auto verdict = message.as<flow::Verdict>();
    if (!verdict) return unexpected(message);
    return on_verdict(flow, *verdict, std::move(message.fd));
  }
  if (const auto configure = message.as<flow::Configure>()) return on_configure(*configure);
  if (const auto attach = message.as<flow::Attach>()) return on_attach(attach->device, std::move(message.fd));
  return unexpected(message);
}

Status Daemon::on_configure(const flow::Configure& configure) {
  if (configured_) return fail(ErrorKind::permanent, "configured twice");
  netstack::Config config = to_stack(configure);
  if (!netstack::Stack::accepts(config)) return fail(ErrorKind::permanent, "an MTU that is too small for the internet");
  configured_ = configure;
  config.hash_key = facts_.stack_key;
  config.sockets_peek_at_offset = facts_.sockets_peek_at_offset;
  stack_ = std::make_unique<netstack::Stack>(config, wire_, *this, budgets_);
  stack_->on_time(now_ns_);  // frames may come in this very turn
  return {};
}

Status Daemon::on_limits(const flow::Limits& limits) {
  static_assert(netstack::Budgets::kUnlimited == flow::kUnlimited && netstack::kMaxBudgets == flow::kMaxBudgets);
  static_assert(netstack::kNoBudget == flow::kNoBudget && netstack::kWorkspaceBudget == flow::kWorkspaceBudget);
  const netstack::Budgets::Limit limit{
      .bytes = limits.bytes, .bytes_per_second = limits.bytes_per_second, .last = limits.last != 0};
  if (!budgets_.set(limits.budget, limit, now_ns_)) return fail(ErrorKind::permanent, "limits of what is no budget");
  if (stack_) stack_->on_budgets();
  return {};
}

Status Daemon::on_verdict(flow::FlowId flow, const flow::Verdict& verdict, Fd fd) {
  if (verdict.budget >= flow::kMaxBudgets) return fail(ErrorKind::permanent, "a verdict that charges no budget");
  // A splice that lacks its descriptor is a refusal: what cannot live must not hang.
  const bool splice = verdict.action == flow::Action::splice && fd && make_nonblocking(fd);
  const bool drop = verdict.action == flow::Action::drop;
  if ((flow & kVsockFlowBit) != 0) {
    // vsock carries our own services, which nobody pays for. What cannot be charged is not spliced.
    const bool charged = verdict.budget != flow::kNoBudget;
    if (vsock_ && splice && !charged) vsock_->flows.on_splice(flow, std::move(fd));
    else if (vsock_) vsock_->flows.on_refuse(flow, !drop);
    return {};
  }
  if (!stack_) return {};
  if (splice) stack_->on_splice(flow, std::move(fd), verdict.budget);
  else if (verdict.action == flow::Action::peek) stack_->on_peek(flow, flow::kMaxPeek);
  else if (drop) stack_->on_drop(flow);
  else stack_->on_refuse(flow, to_stack(verdict.refusal));
  return {};
}

Status Daemon::on_dial(Peer peer, flow::FlowId number, const flow::Dial& dial, Fd fd, ByteView first) {
  const auto flow = Peers::dialled(peer, number);
  if (!flow) return fail(ErrorKind::permanent, "dialled flow with a number that is not one");
  const bool usable = fd && make_nonblocking(fd) && !severed_;
  const auto protocol = to_stack(dial.protocol);
  if (usable && dial.protocol == flow::Protocol::vsock && vsock_) {
    vsock_->flows.dial(*flow, dial.guest_port, std::move(fd));
    return {};
  }
  const bool port_fits = dial.guest_port > 0 && dial.guest_port <= 0xffff;
  if (usable && protocol && stack_ && port_fits) {
    stack_->dial(*flow, *protocol, service_of(dial), std::move(fd), first);
    return {};
  }
  flow::Closed refused;
  refused.end = severed_ ? flow::End::killed : flow::End::no_resources;
  peers_.closed(*flow, refused);
  return {};
}

void Daemon::on_kill(Peer peer, flow::FlowId number) {
  const flow::FlowId flow = Peers::dialled(peer, number).value_or(number);
  if (vsock_ && vsock_->flows.kill(flow)) return;
  if (stack_ && (flow & kVsockFlowBit) == 0) stack_->kill(flow);
}

void Daemon::sever() {
  severed_ = true;
  if (stack_) stack_->sever();
  if (vsock_) vsock_->flows.sever();
}

}  // namespace microagent::netd
