// What the guest sends on a connection (RFC 9293, 3.10.7.4; RFC 5961; RFC 7323).

#include <linux/sockios.h>
#include <sys/ioctl.h>
#include <sys/socket.h>

#include <algorithm>
#include <cerrno>

#include "base/pieces.h"
#include "netstack/tcp_impl.h"

namespace microagent::netstack {
namespace {

iovec piece_of(ByteView bytes) { return {const_cast<std::uint8_t*>(bytes.data()), bytes.size()}; }

}  // namespace

void TcpFlows::Impl::on_established(TcpConnection& c, TcpSegment& segment) {
  if (!accept_segment(c, segment)) return;
  if (segment.rst) {
    // RFC 5961, 3.2. What we acknowledged last is where a guest without the connection places its reset.
    const bool exact = segment.seq == c.rcv_nxt || segment.seq == c.last_ack_sent;
    return exact ? reset_by_guest(c) : challenge(c);
  }
  if (segment.syn) return challenge(c);
  if (!segment.has_ack) return;
  if (!on_ack(c, segment)) return;
  if (!on_payload(c, segment)) return;
  pump(c);
}

// RFC 9293, 3.10.7.4, "first", with RFC 7323, 5.3: a segment from a past round of the sequence space carries an old
// timestamp.
bool TcpFlows::Impl::accept_segment(TcpConnection& c, const TcpSegment& segment) {
  const auto& stamps = segment.options.timestamps;
  if (c.timestamps && !stamps && !segment.rst) return false;
  const bool compares = c.timestamps && stamps;
  const bool old = compares && static_cast<std::int32_t>(stamps->value - c.ts_recent) < 0;
  if ((old && !segment.rst) || !in_window(c, segment)) {
    if (segment.rst) return false;
    // What carries nothing may itself be the answer to such an answer: these two must come to an end.
    segment.length() == 0 ? challenge(c) : owe_ack(c, true);
    return false;
  }
  if (compares && !old && segment.seq <= c.last_ack_sent) c.ts_recent = stamps->value;
  return true;
}

// RFC 9293, 3.4: some part of the segment lies between what the guest was told that we have and the right edge that it
// was told. What we have but did not acknowledge yet is in the window, so that its repetition brings its news.
bool TcpFlows::Impl::in_window(const TcpConnection& c, const TcpSegment& segment) const {
  const Seq first = segment.seq, end = segment.seq + segment.length();
  const Seq edge = c.told_edge();
  if (segment.length() == 0) return first >= c.last_ack_sent && first <= edge;
  return end > c.last_ack_sent && (first < edge || (first == edge && segment.bytes == 0));
}

// RFC 5961, 7: at a bounded rate, each connection by itself, so that nobody learns from it about others.
bool TcpFlows::Impl::may_challenge(TcpConnection& c) {
  if (c.last_challenge_ns != 0 && env.now_ns - c.last_challenge_ns < kChallengeNs) return false;
  c.last_challenge_ns = env.now_ns;
  return true;
}

void TcpFlows::Impl::challenge(TcpConnection& c) {
  if (may_challenge(c)) owe_ack(c, true);
}

bool TcpFlows::Impl::on_ack(TcpConnection& c, const TcpSegment& segment) {
  const Seq ack = segment.ack;
  // RFC 5961, 5.2.
  if (ack > c.snd_max || ack < c.snd_una - c.max_wnd) return challenge(c), false;
  const std::uint32_t window_before = c.snd_wnd;
  take_window(c, segment);
  const bool news = c.sack && segment.options.sack_count > 0 && on_sack(c, segment);
  // RFC 5681, 2.
  const bool repeats = ack == c.snd_una && segment.length() == 0 && c.snd_wnd == window_before;
  if (ack > c.snd_una && !on_acknowledged(c, segment)) return false;
  if (repeats || news) look_for_loss(c, repeats);
  if (c.recovering) recover(c);
  return true;
}

// RFC 9293, 3.10.7.4: old segments do not change the window.
void TcpFlows::Impl::take_window(TcpConnection& c, const TcpSegment& segment) {
  const bool newer = c.snd_wl1 < segment.seq || (c.snd_wl1 == segment.seq && c.snd_wl2 <= segment.ack);
  if (segment.ack < c.snd_una || !newer) return;
  c.snd_wnd = segment.window << c.snd_scale;
  c.max_wnd = std::max(c.max_wnd, c.snd_wnd);
  c.snd_wl1 = segment.seq;
  c.snd_wl2 = segment.ack;
  if (!c.probing || c.snd_wnd == 0) return;
  c.probing = false;
  c.retries = 0;
  c.round_trip.reset_backoff();
  restart_retransmission(c);
}

bool TcpFlows::Impl::on_acknowledged(TcpConnection& c, const TcpSegment& segment) {
  const Seq ack = segment.ack;
  const std::uint32_t acknowledged = span(c.snd_una, ack);
  const bool with_fin = c.host_ended && ack == c.fin_at + 1;
  c.snd_una = ack;
  c.snd_nxt = max(c.snd_nxt, ack);
  c.unconsumed += acknowledged - (with_fin ? 1 : 0);
  c.fin_acknowledged |= with_fin;
  c.fin_sent |= with_fin;
  take_round_trip(c, segment);
  c.retries = c.duplicate_acks = 0;
  if (c.scoreboard) c.scoreboard->forget_before(ack);
  if (c.recovering && ack >= c.recover) {
    c.recovering = false;
  } else if (c.recovering) {
    c.retransmit_next = max(c.retransmit_next, ack);
    if (!c.scoreboard || c.scoreboard->empty()) c.retransmit_next = ack;  // a partial acknowledgement (RFC 6582)
  } else {
    c.congestion.on_acked(acknowledged, c.mss);
  }
  restart_retransmission(c);
  consume(c, false);
  if (c.fin_acknowledged) finish_if_over(c);
  return c.state == TcpState::established;
}

void TcpFlows::Impl::take_round_trip(TcpConnection& c, const TcpSegment& segment) {
  constexpr std::uint32_t kSensibleMs = 600'000;
  if (c.timestamps && segment.options.timestamps) {
    const std::uint32_t elapsed_ms = timestamp(c) - segment.options.timestamps->echo;
    if (elapsed_ms < kSensibleMs) c.round_trip.sample(elapsed_ms * kMillisecondNs);
  } else if (c.timing && segment.ack > c.timed_at) {
    c.round_trip.sample(env.now_ns - c.timed_ns);
  }
  if (segment.ack > c.timed_at) c.timing = false;
}

bool TcpFlows::Impl::on_payload(TcpConnection& c, TcpSegment& segment) {
  // To a descriptor that has failed nothing can be said any more: the guest's reset is on its way.
  if (segment.length() == 0 || c.host_failed) return true;
  if (c.guest_ended) {
    c.guest_repeats = true;
    return owe_ack(c, true), true;
  }
  trim(c, segment);
  const Seq end = segment.seq + segment.bytes;
  if (segment.fin && !c.guest_fin_known && end >= c.rcv_nxt) {
    c.guest_fin_known = true;
    c.guest_fin_at = end;
  }
  if (segment.seq > c.rcv_nxt) {
    keep_out_of_order(c, segment);
  } else if (segment.bytes > 0) {
    owe_ack(c, false);
    if (!deliver(c, segment.payload, segment.bytes)) return false;
    if (c.out_of_order && !deliver_out_of_order(c)) return false;
  }
  if (!c.guest_fin_known || c.rcv_nxt != c.guest_fin_at || c.host_failed) return true;
  c.guest_ended = true;
  c.guest_ended_first = !c.fin_was_sent();
  if (c.out_of_order) c.out_of_order->clear(memory);  // beyond its own end
  if (c.peeked) env.upcalls.first_bytes(c.flow, {}, true);
  return pass_on_end(c);
}

// Cuts off what is known already and what lies beyond the window, or beyond the guest's own end of stream.
void TcpFlows::Impl::trim(TcpConnection& c, TcpSegment& segment) {
  if (segment.seq < c.rcv_nxt) {
    const std::size_t known = std::min<std::size_t>(span(segment.seq, c.rcv_nxt), segment.bytes);
    segment.payload = take_front(segment.payload, known, nullptr);
    segment.bytes -= known;
    segment.seq += known;
    c.guest_repeats = true;
    owe_ack(c, true);
  }
  Seq edge = c.told_edge();
  if (c.guest_fin_known) edge = min(edge, c.guest_fin_at);
  if (segment.seq + segment.bytes <= edge) return;
  segment.bytes = segment.seq < edge ? span(segment.seq, edge) : 0;
  segment.payload = keep_front(segment.payload, segment.bytes);
  segment.fin = false;
  owe_ack(c, true);
}

void TcpFlows::Impl::keep_out_of_order(TcpConnection& c, const TcpSegment& segment) {
  owe_ack(c, true);
  if (segment.bytes == 0) return;
  if (!c.out_of_order) c.out_of_order = std::make_unique<OutOfOrder>();
  const bool fits = c.out_of_order->bytes() + segment.bytes <= kMaxOutOfOrder;
  if (fits) (void)c.out_of_order->add(segment.seq, segment.payload, segment.bytes, memory);
}

bool TcpFlows::Impl::deliver_out_of_order(TcpConnection& c) {
  owe_ack(c, true);
  for (;;) {
    c.out_of_order->forget_before(c.rcv_nxt, memory);
    ByteView next = c.out_of_order->front(c.rcv_nxt);
    if (c.guest_fin_known) next = next.first(std::min<std::size_t>(next.size(), span(c.rcv_nxt, c.guest_fin_at)));
    if (next.empty()) break;
    const Seq end = c.rcv_nxt + next.size();
    const iovec piece = piece_of(next);
    if (!deliver(c, {&piece, 1}, next.size())) return false;
    if (c.rcv_nxt < end) return true;  // no memory: it comes again
  }
  if (c.out_of_order->empty()) c.out_of_order.reset();
  return true;
}

// Bytes in their turn. rcv_nxt moves over what was taken or could be kept.
bool TcpFlows::Impl::deliver(TcpConnection& c, std::span<const iovec> pieces, std::size_t bytes) {
  if (c.peeked) {
    if (!hold(c, pieces, 0, bytes)) return true;
    c.held_acknowledged = static_cast<std::uint32_t>(c.held_bytes());
    env.upcalls.first_bytes(c.flow, pieces, false);
    return true;
  }
  std::size_t taken = 0;
  bool refused = false;
  if (c.held_bytes() == 0) {
    const ssize_t sent = send_charged(c, pieces, bytes, refused);
    if (sent < 0) return on_host_failure(c, errno), c.state == TcpState::established;
    taken = static_cast<std::size_t>(sent);
    c.rcv_nxt += taken;
    c.bytes_out += taken;
    c.taken_since += static_cast<std::uint32_t>(taken);
  }
  if (taken < bytes) (void)hold(c, pieces, taken, bytes - taken);
  return !refused || await_budget(c);
}

// Keeps the `bytes` bytes behind the first `skip` until the descriptor takes them. What finds no memory is as if it had
// never come.
bool TcpFlows::Impl::hold(TcpConnection& c, std::span<const iovec> pieces, std::size_t skip, std::size_t bytes) {
  if (!memory.take(bytes)) return false;
  if (!c.held) c.held = std::make_unique<HeldBytes>();
  if (c.held->empty()) c.guest_repeats = false;
  c.held->append(pieces, skip, bytes);
  c.rcv_nxt += bytes;
  return true;
}

void TcpFlows::Impl::release_held(TcpConnection& c, std::size_t bytes) {
  c.held->drop_front(bytes);
  c.held_acknowledged -= static_cast<std::uint32_t>(std::min<std::size_t>(bytes, c.held_acknowledged));
  memory.give_back(bytes);
}

bool TcpFlows::Impl::drain_held(TcpConnection& c) {
  while (c.held_bytes() > 0) {
    const iovec piece = piece_of(c.held->view());
    bool refused = false;
    const ssize_t sent = send_charged(c, {&piece, 1}, piece.iov_len, refused);
    if (sent < 0) return on_host_failure(c, errno), c.state == TcpState::established;
    if (sent == 0) return !refused || await_budget(c);
    release_held(c, static_cast<std::size_t>(sent));
    c.bytes_out += static_cast<std::size_t>(sent);
    owe_ack(c, true);
  }
  c.held.reset();
  c.held_acknowledged = 0;
  return pass_on_end(c);
}

// The guest's end of stream follows its last byte. Only then is it acknowledged.
bool TcpFlows::Impl::pass_on_end(TcpConnection& c) {
  if (!c.guest_ended || c.host_shut || c.peeked || c.held_bytes() > 0) return true;
  ::shutdown(c.fd.get(), SHUT_WR);  // fails only when the host has gone, which its own event tells
  c.host_shut = true;
  c.rcv_nxt += 1;
  owe_ack(c, false);
  finish_if_over(c);
  return c.state == TcpState::established;
}

// How much the descriptor takes without a doubt: its buffer less what lies in it.
void TcpFlows::Impl::look_at_room(TcpConnection& c) {
  int buffer = 0, queued = 0;
  socklen_t size = sizeof buffer;
  const bool known = ::getsockopt(c.fd.get(), SOL_SOCKET, SO_SNDBUF, &buffer, &size) == 0 &&
                     ::ioctl(c.fd.get(), SIOCOUTQ, &queued) == 0;
  c.room_seen = known && buffer > queued ? static_cast<std::uint32_t>(buffer - queued) : 0;
  c.taken_since = 0;
}

// The window to tell: how far rcv_adv lies beyond what is acknowledged. While bytes wait it does not move, and is told
// as closed to a guest that repeats them.
std::uint32_t TcpFlows::Impl::window_of(TcpConnection& c) {
  constexpr std::uint32_t kLookEvery = 32 * 1024;
  const bool waits = c.held_bytes() > c.held_acknowledged;
  if (waits && c.guest_repeats) return 0;
  Seq edge = c.rcv_adv;
  if (c.peeked) {
    edge = c.rcv_nxt + (c.peek_limit - std::min<std::size_t>(c.held_bytes(), c.peek_limit));
  } else if (c.fd && c.held_bytes() == 0) {
    const bool memory_short = memory.left() < kMemory / 4;
    if (memory_short || c.taken_since >= std::max(kLookEvery, c.room_seen / 4)) look_at_room(c);
    const std::uint32_t room = c.room_seen - std::min(c.room_seen, c.taken_since);
    edge = c.rcv_nxt + std::min(kMaxReceiveWindow, room + (memory_short ? 0 : kOvercommit));
  }
  c.rcv_adv = max(c.rcv_adv, edge);
  return span(c.acknowledgeable(), c.rcv_adv);
}

}  // namespace microagent::netstack
