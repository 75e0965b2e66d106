#include "netd/daemon.h"

#include <sched.h>

#include <algorithm>

#include "base/check.h"
#include "base/clock.h"
#include "netd/translate.h"
#include "wire/agent.h"

namespace microagent::netd {
namespace {

// Frames and packets of one batch: enough to be efficient, few enough that the rest of the loop gets its turn.
constexpr std::size_t kFrameBudget = 256;
constexpr std::size_t kPacketBudget = 128;

constexpr std::uint32_t kPeerEvents = EPOLLIN | EPOLLRDHUP;

// The stack numbers its flows below the marks that vsock and dialled flows carry.
constexpr flow::FlowId kStackFlowMask = kVsockFlowBit - 1;

}  // namespace

Daemon::Daemon(Poller poller, Fd supervisor, Fd mediator, const Facts& facts)
    : poller_(std::move(poller)), peers_(std::move(supervisor), std::move(mediator)), facts_(facts) {}

Daemon::~Daemon() {
  drop_net();
  drop_vsock();
}

Status Daemon::run() {
  if (!poller_.watch(peers_.channel(Peer::supervisor).fd(), kPeerEvents, Source::supervisor) ||
      !poller_.watch(peers_.channel(Peer::mediator).fd(), kPeerEvents, Source::mediator)) {
    return fail(ErrorKind::permanent, "cannot watch the peers' sockets");
  }
  if (Status told = peers_.channel(Peer::supervisor).send(0, flow::Ready{}); !told) return told;

  while (!ended_) {
    const auto events = next_events();
    now_ns_ = monotonic_ns();
    note_work(events);
    run_timers(now_ns_);
    for (const Event& event : events) {
      if (Status handled = handle(event); !handled) return handled;
    }
    if (Status done = run_batch(); !done) return done;
    if (Status awaited = await_peers(); !awaited) return awaited;
    if (peers_.broken()) return fail(ErrorKind::permanent, "a peer does not read its messages any more");
  }
  return {};
}

Status Daemon::handle(const Event& event) {
  switch (event.source) {
    case Source::supervisor: return on_peer(Peer::supervisor);
    case Source::mediator: return on_peer(Peer::mediator);
    case Source::net_session: return on_net_session();
    case Source::vsock_session: return on_vsock_session();
    case Source::net_kick: return on_net_kick(event.token), Status();
    case Source::vsock_kick: return {};  // the batch looks at both rings anyway
    case Source::net_flow: stack_->on_descriptor(event.token, event.epoll_events); return {};
    case Source::vsock_flow:
      if (vsock_) vsock_->flows.on_descriptor(event.token, event.epoll_events);
      return {};
  }
  return {};
}

void Daemon::on_net_kick(std::uint64_t queue) {
  if (FrontEnd* const front_end = wire_.front_end()) front_end->on_kick();
  const bool room = net_ && queue == virtio::NetDevice::kReceiveQueue;
  if (room && std::exchange(awaiting_room_, false)) stack_->on_wire_room();
}

// That a peer has read wakes us only while something is held back for it: each of its reads would.
Status Daemon::await_peers() {
  for (const auto& [peer, source] :
       {std::pair(Peer::supervisor, Source::supervisor), {Peer::mediator, Source::mediator}}) {
    bool& watched = watches_for_room_[static_cast<std::size_t>(peer)];
    if (peers_.waits(peer) == watched) continue;
    watched = !watched;
    const std::uint32_t events = watched ? kPeerEvents | EPOLLOUT : kPeerEvents;
    if (!poller_.watch_for(peers_.channel(peer).fd(), events, source)) {
      return fail(ErrorKind::permanent, "cannot watch the peers' sockets");
    }
  }
  return {};
}

Status Daemon::run_batch() {
  more_ = false;
  FrontEnd* const front_end = wire_.front_end();
  if (front_end != nullptr) {
    const std::size_t frames = front_end->receive(*stack_, kFrameBudget);
    if (frames > 0) busy_poll_.on_work(BusyPoll::Party::guest, now_ns_);
    more_ |= frames == kFrameBudget;
  }
  if (vsock_) {
    const std::size_t packets = vsock_->flows.receive(kPacketBudget);
    if (packets > 0) busy_poll_.on_work(BusyPoll::Party::guest, now_ns_);
    more_ |= packets == kPacketBudget;
  }
  if (stack_) stack_->flush(netstack::Round::goes_on);
  if (vsock_) vsock_->flows.pump();
  flush(more_ || busy_poll_.worthwhile(now_ns_) ? virtio::Show::news : virtio::Show::all);
  report_faults();
  tell_numbers();
  return {};
}

void Daemon::flush(virtio::Show what) {
  if (FrontEnd* const front_end = wire_.front_end()) front_end->flush(what);
  if (vsock_) vsock_->device.flush(what);
}

std::span<const Event> Daemon::next_events() {
  if (has_work()) return poller_.look();
  if (busy_poll_.worthwhile(monotonic_ns())) {
    ::sched_yield();  // whoever is to answer may have no other processor
    return poller_.look();
  }
  if (stack_ && stack_->puts_off()) {
    if (const auto events = poller_.look(); !events.empty()) return events;
    stack_->flush();
    if (has_work()) return poller_.look();
  }
  flush(virtio::Show::all);
  return may_sleep() ? poller_.wait(next_deadline()) : poller_.look();
}

// A kick says nothing by itself: the guest's frames do.
void Daemon::note_work(std::span<const Event> events) {
  const auto is_hosts = [](const Event& event) {
    return event.source != Source::net_kick && event.source != Source::vsock_kick;
  };
  if (std::ranges::any_of(events, is_hosts)) busy_poll_.on_work(BusyPoll::Party::host, now_ns_);
}

// Work that is there already. Asks for the notification of room where that is what is missing.
bool Daemon::has_work() {
  bool work = more_;
  FrontEnd* const front_end = wire_.front_end();
  if (wire_.take_room_wanted() && front_end != nullptr) {
    awaiting_room_ = true;
    if (front_end->await_room()) {
      awaiting_room_ = false;
      stack_->on_wire_room();
      work = true;
    }
  }
  if (vsock_) work |= vsock_->flows.blocked() && vsock_->device.await_room();
  return work;
}

// Asks for the notifications of frames and packets; false when some are there already.
bool Daemon::may_sleep() {
  FrontEnd* const front_end = wire_.front_end();
  const bool packets = vsock_ && vsock_->device.await_packets();
  const bool frames = front_end != nullptr && front_end->await_frames();
  return !packets && !frames;
}

void Daemon::run_timers(std::uint64_t now_ns) {
  if (stack_) stack_->on_time(now_ns);
  if (vsock_) vsock_->flows.on_time(now_ns);
}

std::optional<std::uint64_t> Daemon::next_deadline() const {
  std::optional<std::uint64_t> first = budgets_.reports_at();
  for (const auto other :
       {stack_ ? stack_->next_deadline() : std::nullopt, vsock_ ? vsock_->flows.next_deadline() : std::nullopt}) {
    if (other && (!first || *other < *first)) first = other;
  }
  return first;
}

// What was spent, and what was dropped, as far as it is due.
void Daemon::tell_numbers() {
  while (const auto report = budgets_.next_report(now_ns_)) {
    peers_.usage({.budget = report->id, .bytes_out = report->out, .bytes_in = report->in});
  }
  if (!stack_) return;
  while (const auto report = stack_->next_dropped()) {
    peers_.dropped({.ip_protocol = report->protocol, .packets = report->packets});
  }
}

void Daemon::open(flow::FlowId flow, netstack::Protocol protocol, const netstack::Endpoint& guest,
                  const netstack::Endpoint& destination) {
  MICROAGENT_CHECK((flow & ~kStackFlowMask) == 0);
  flow::Open wanted;
  wanted.guest = to_flow(guest);
  wanted.destination = to_flow(destination);
  wanted.protocol = to_flow(protocol);
  if (!peers_.open(flow, wanted)) stack_->on_refuse(flow, netstack::Refusal::reset);
}

void Daemon::first_bytes(flow::FlowId flow, std::span<const iovec> pieces, bool ended) {
  std::vector<std::uint8_t> bytes;
  for (const iovec& piece : pieces) {
    const auto* start = static_cast<const std::uint8_t*>(piece.iov_base);
    bytes.insert(bytes.end(), start, start + piece.iov_len);
  }
  peers_.first_bytes(flow, ended, std::move(bytes));
}

void Daemon::closed(flow::FlowId flow, const netstack::FlowTotals& totals) { peers_.closed(flow, to_flow(totals)); }

bool Daemon::watch(int fd, std::uint64_t token, netstack::Interest interest) {
  constexpr std::uint32_t kDatagrams = EPOLLIN | EPOLLRDHUP, kStream = kDatagrams | EPOLLPRI | EPOLLOUT;
  const bool stream = interest == netstack::Interest::stream;
  return poller_.watch(fd, stream ? kStream : kDatagrams, Source::net_flow, token);
}

void Daemon::open_vsock(flow::FlowId flow, VsockPorts ports, VsockKind kind) {
  const auto endpoint = [](std::uint64_t cid, std::uint32_t port) {
    flow::Endpoint out;
    const auto number = static_cast<std::uint32_t>(cid);
    std::memcpy(out.address.data(), &number, sizeof number);
    out.port = port;
    out.family = flow::Family::vsock;
    return out;
  };
  flow::Open wanted;
  wanted.guest = endpoint(configured_->guest_cid, ports.guest);
  wanted.destination = endpoint(wire::kHostCid, ports.host);
  wanted.protocol = flow::Protocol::vsock;
  wanted.packets = kind == VsockKind::packets ? 1 : 0;
  if (!peers_.open(flow, wanted)) vsock_->flows.on_refuse(flow, true);
}

void Daemon::closed_vsock(flow::FlowId flow, const flow::Closed& totals) { peers_.closed(flow, totals); }

bool Daemon::watch_vsock(int fd, std::uint64_t token) {
  return poller_.watch(fd, EPOLLIN | EPOLLOUT | EPOLLRDHUP, Source::vsock_flow, token);
}

}  // namespace microagent::netd
