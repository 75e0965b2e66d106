// How connections end: in order, by either side's reset, or by ours.

#include <sys/socket.h>

#include <cerrno>

#include "netstack/tcp_impl.h"

namespace microagent::netstack {

using wire::kTcpAck;
using wire::kTcpRst;

void abort_descriptor(Fd fd) {
  const linger now{1, 0};
  ::setsockopt(fd.get(), SOL_SOCKET, SO_LINGER, &now, sizeof now);
}

// Both streams have ended and both sides know. Who ended first waits for late segments (RFC 9293, 3.6).
void TcpFlows::Impl::finish_if_over(TcpConnection& c) {
  if (!c.host_shut || !c.fin_acknowledged) return;
  if (c.guest_ended_first) {
    if (c.owes_ack) (void)send_control(c, c.snd_nxt, kTcpAck);  // of its end, which found bytes waiting before it
    return end(c, End::finished);
  }
  enter_time_wait(c);
}

void TcpFlows::Impl::tell_closed(TcpConnection& c, End how) {
  if (!c.answered) return;
  FlowTotals totals;
  totals.bytes_out = c.bytes_out;
  totals.bytes_in = c.bytes_in;
  totals.duration_us = (env.now_ns - c.opened_ns) / 1000;
  totals.end = how;
  env.upcalls.closed(c.flow, totals);
}

void TcpFlows::Impl::close_host(TcpConnection& c, bool abort) {
  if (!c.fd) return;
  env.upcalls.forget(c.fd.get());
  if (abort) return abort_descriptor(std::move(c.fd));
  // Bytes left in the queue would turn an orderly close into a reset.
  consume(c, true);
  c.fd.reset();
}

void TcpFlows::Impl::end(TcpConnection& c, End how) {
  close_host(c, how != End::finished);
  tell_closed(c, how);
  remove(c);
}

void TcpFlows::Impl::reset_guest(TcpConnection& c, End how) {
  switch (c.state) {
    case TcpState::free:
    case TcpState::abandoned:
    case TcpState::time_wait: return;
    case TcpState::opening: send_reset(c.key, Seq(), c.rcv_nxt, kTcpRst | kTcpAck); return reset_by_guest(c);
    case TcpState::syn_sent: break;  // a guest that has said nothing is told nothing
    case TcpState::syn_received:
    case TcpState::established: send_reset(c.key, c.snd_max, c.acknowledgeable(), kTcpRst | kTcpAck); break;
  }
  end(c, how);
}

void TcpFlows::Impl::reset_by_guest(TcpConnection& c) {
  if (c.state != TcpState::opening) return end(c, End::guest_reset);
  // The verdict is still to come and will find out. The tuple is free for another try.
  by_key.erase(c.key);
  c.state = TcpState::abandoned;
  c.quote.reset();
}

// What the far end said before it went is still in the queue, and is delivered first.
void TcpFlows::Impl::on_host_failure(TcpConnection& c, int error) {
  c.host_end = error == ETIMEDOUT ? End::timed_out : End::host_reset;
  if (c.state != TcpState::established) return reset_guest(c, c.host_end);
  c.host_failed = c.host_readable = true;
  pump(c);
}

void TcpFlows::Impl::enter_time_wait(TcpConnection& c) {
  (void)send_control(c, c.snd_nxt, kTcpAck);
  close_host(c, false);
  tell_closed(c, End::finished);
  by_flow.erase(c.flow);
  c.state = TcpState::time_wait;
  --env.counters.flows;
  c.retransmit_due_ns = kNever;
  c.idle_due_ns = env.now_ns + kTimeWaitNs;
  set_timer(c);
  time_waits.push_back(token_of(c));
  while (time_waits.size() > kMaxTimeWait) {
    if (TcpConnection* oldest = find_token(time_waits.front())) remove(*oldest);
    time_waits.pop_front();
  }
}

// RFC 9293, 3.10.7.4 and RFC 6191: a SYN that cannot be an old one may have the tuple.
bool TcpFlows::Impl::time_wait_gives_way(const TcpConnection& c, const TcpSegment& syn) const {
  if (c.timestamps && syn.options.timestamps) {
    const auto newer = static_cast<std::int32_t>(syn.options.timestamps->value - c.ts_recent);
    if (newer != 0) return newer > 0;
  }
  return syn.seq > c.rcv_nxt;
}

}  // namespace microagent::netstack
