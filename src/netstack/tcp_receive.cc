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

// How many bytes the descriptor took; 0 when it is full; -1 with errno when it failed.
ssize_t send_to_host(int fd, std::span<const iovec> pieces) {
  msghdr message{};
  message.msg_iov = const_cast<iovec*>(pieces.data());
  message.msg_iovlen = pieces.size();
  for (;;) {
    const ssize_t sent = ::sendmsg(fd, &message, MSG_NOSIGNAL | MSG_DONTWAIT);
    if (sent >= 0) return sent;
    if (errno == EAGAIN || errno == EWOULDBLOCK) return 0;
    if (errno != EINTR) return -1;
  }
}

iovec piece_of(ByteView bytes) { return {const_cast<std::uint8_t*>(bytes.data()), bytes.size()}; }

}  // namespace

void TcpFlows::Impl::on_established(TcpConnection& c, TcpSegment& segment) {
  if (!timestamp_acceptable(c, segment) || !acceptable(c, segment)) {
    if (!segment.rst) owe_ack(c, true);
    return;
  }
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

// RFC 9293, 3.4: some part of the segment lies in the window, whose left edge is what we have (even if not yet
// acknowledged) and whose right edge is what the guest was told.
bool TcpFlows::Impl::acceptable(const TcpConnection& c, const TcpSegment& segment) const {
  const Seq first = segment.seq, end = segment.seq + segment.length();
  const Seq edge = max(c.rcv_adv, c.rcv_nxt);
  if (segment.length() == 0) return first >= c.last_ack_sent && first <= edge;
  return end > c.rcv_nxt && (first < edge || (first == edge && segment.bytes == 0));
}

// RFC 7323, 5: a segment from a past round of the sequence space carries an old timestamp.
bool TcpFlows::Impl::timestamp_acceptable(TcpConnection& c, const TcpSegment& segment) {
  if (!c.timestamps) return true;
  if (!segment.options.timestamps) return segment.rst;
  const std::uint32_t value = segment.options.timestamps->value;
  if (static_cast<std::int32_t>(value - c.ts_recent) < 0) return segment.rst;
  if (segment.seq <= c.last_ack_sent && !segment.rst) c.ts_recent = value;
  return true;
}

// RFC 5961, 7: at a bounded rate, each connection by itself, so that nobody learns from it about others.
void TcpFlows::Impl::challenge(TcpConnection& c) {
  if (c.last_challenge_ns != 0 && env.now_ns - c.last_challenge_ns < kChallengeNs) return;
  c.last_challenge_ns = env.now_ns;
  owe_ack(c, true);
}

bool TcpFlows::Impl::on_ack(TcpConnection& c, const TcpSegment& segment) {
  const Seq ack = segment.ack;
  // RFC 5961, 5.2.
  if (ack > c.snd_max || ack < c.snd_una - c.max_wnd) return challenge(c), false;

  const std::uint32_t window = segment.window << c.snd_scale;
  bool window_changed = false;
  if (c.snd_wl1 < segment.seq || (c.snd_wl1 == segment.seq && c.snd_wl2 <= ack)) {
    window_changed = window != c.snd_wnd;
    c.snd_wnd = window;
    c.max_wnd = std::max(c.max_wnd, window);
    c.snd_wl1 = segment.seq;
    c.snd_wl2 = ack;
  }
  if (c.probing && c.snd_wnd > 0) {
    c.probing = false;
    c.retries = 0;
    c.round_trip.reset_backoff();
    restart_retransmission(c);
  }
  if (c.sack && segment.options.sack_count > 0) on_sack(c, segment);

  if (ack > c.snd_una) {
    const std::uint32_t acknowledged = span(c.snd_una, ack);
    const bool with_fin = c.host_ended && ack == c.fin_at + 1;
    c.snd_una = ack;
    c.snd_nxt = max(c.snd_nxt, ack);
    c.unconsumed += acknowledged - (with_fin ? 1 : 0);
    c.fin_acknowledged |= with_fin;
    c.fin_sent |= with_fin;
    if (c.timestamps && segment.options.timestamps && segment.options.timestamps->echo != 0) {
      const std::uint32_t elapsed_ms = timestamp(c) - segment.options.timestamps->echo;
      if (elapsed_ms < 600'000) c.round_trip.sample(elapsed_ms * kMillisecondNs);
    } else if (c.timing && ack > c.timed_at) {
      c.round_trip.sample(env.now_ns - c.timed_ns);
    }
    if (ack > c.timed_at) c.timing = false;
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
    if (c.fin_acknowledged) {
      finish_if_over(c);
      if (c.state != TcpState::established) return false;
    }
  } else if (ack == c.snd_una && segment.length() == 0 && !window_changed && c.in_flight() > 0) {
    on_duplicate_ack(c);
  }
  if (c.recovering) recover(c);
  return true;
}

bool TcpFlows::Impl::on_payload(TcpConnection& c, TcpSegment& segment) {
  if (segment.length() == 0) return true;
  if (c.guest_ended) return owe_ack(c, true), true;  // its FIN again, or what cannot be
  Seq at = segment.seq;
  auto pieces = segment.payload;
  std::size_t bytes = segment.bytes;
  if (at < c.rcv_nxt) {
    const std::size_t known = std::min<std::size_t>(span(at, c.rcv_nxt), bytes);
    pieces = take_front(pieces, known, nullptr);
    bytes -= known;
    at += known;
    owe_ack(c, true);
  }
  const Seq edge = max(c.rcv_adv, c.rcv_nxt);
  if (at + bytes > edge) {
    bytes = at < edge ? span(at, edge) : 0;
    pieces = keep_front(pieces, bytes);
    segment.fin = false;
  }
  if (segment.fin && !c.guest_fin_known) {
    c.guest_fin_known = true;
    c.guest_fin_at = at + bytes;
  }
  if (bytes > 0 && at > c.rcv_nxt) {
    if (!c.out_of_order) c.out_of_order = std::make_unique<OutOfOrder>();
    if (c.out_of_order->bytes() + bytes <= kMaxOutOfOrder) c.out_of_order->add(at, pieces, bytes, memory);
    owe_ack(c, true);
  } else if (bytes > 0) {
    if (!deliver(c, pieces, bytes)) return false;
    ++c.frames_unacknowledged;
    owe_ack(c, false);
  }
  if (c.out_of_order && !c.out_of_order->empty()) {
    for (ByteView next; !(next = c.out_of_order->front(c.rcv_nxt)).empty();) {
      const Seq before = c.rcv_nxt;
      const iovec piece = piece_of(next);
      if (!deliver(c, {&piece, 1}, next.size())) return false;
      if (span(before, c.rcv_nxt) < next.size()) break;  // no memory: it comes again
      c.out_of_order->take_front(memory);
    }
    // What lies wholly before rcv_nxt was sent twice.
    if (c.out_of_order->empty()) c.out_of_order.reset();
  }
  if (!c.guest_fin_known || c.rcv_nxt != c.guest_fin_at) return true;
  c.guest_ended = true;
  c.guest_ended_first = !c.fin_sent;
  if (c.peeked) env.upcalls.first_bytes(c.flow, {}, true);
  return pass_on_end(c);
}

// Bytes in their turn. rcv_nxt moves over what was taken or could be kept.
bool TcpFlows::Impl::deliver(TcpConnection& c, std::span<const iovec> pieces, std::size_t bytes) {
  if (c.peeked) {
    hold(c, pieces, bytes);
    c.held_acknowledged = static_cast<std::uint32_t>(c.held_bytes());
    env.upcalls.first_bytes(c.flow, pieces, false);
    return true;
  }
  std::size_t taken = 0;
  if (c.held_bytes() == 0) {
    const ssize_t sent = send_to_host(c.fd.get(), pieces);
    if (sent < 0) return host_failed(c, errno), false;
    taken = static_cast<std::size_t>(sent);
    c.rcv_nxt += taken;
    c.bytes_out += taken;
    c.taken_since += static_cast<std::uint32_t>(taken);
  }
  if (taken == bytes) return true;
  std::vector<iovec> rest(pieces.begin(), pieces.end());
  hold(c, take_front(rest, taken, nullptr), bytes - taken);
  return true;
}

// Keeps bytes until the descriptor takes them. What finds no memory is as if it had never come.
void TcpFlows::Impl::hold(TcpConnection& c, std::span<const iovec> pieces, std::size_t bytes) {
  if (!memory.take(bytes)) return;
  if (!c.held) c.held = std::make_unique<HeldBytes>();
  c.held->append(pieces);
  c.rcv_nxt += bytes;
}

void TcpFlows::Impl::release_held(TcpConnection& c, std::size_t bytes) {
  c.held->drop_front(bytes);
  c.held_acknowledged -= static_cast<std::uint32_t>(std::min<std::size_t>(bytes, c.held_acknowledged));
  memory.give_back(bytes);
}

bool TcpFlows::Impl::drain_held(TcpConnection& c) {
  const bool was_waiting = c.held_bytes() > 0;
  while (c.held_bytes() > 0) {
    const iovec piece = piece_of(c.held->view());
    const ssize_t sent = send_to_host(c.fd.get(), {&piece, 1});
    if (sent < 0) return host_failed(c, errno), false;
    if (sent == 0) return true;
    release_held(c, static_cast<std::size_t>(sent));
    c.bytes_out += static_cast<std::size_t>(sent);
    owe_ack(c, true);
  }
  c.held.reset();
  c.held_acknowledged = 0;
  if (was_waiting) c.room_seen = 0;  // look again before the window moves
  return pass_on_end(c);
}

// The guest's end of stream follows its last byte. Only then is it acknowledged.
bool TcpFlows::Impl::pass_on_end(TcpConnection& c) {
  if (!c.guest_ended || c.host_shut || c.peeked || c.held_bytes() > 0) return true;
  ::shutdown(c.fd.get(), SHUT_WR);  // fails only when the host has gone, which its own event tells
  c.host_shut = true;
  c.rcv_nxt += 1;
  owe_ack(c, true);
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

// The window to tell: how far rcv_adv lies beyond what is acknowledged.
std::uint32_t TcpFlows::Impl::window_of(TcpConnection& c) {
  constexpr std::uint32_t kLookEvery = 32 * 1024;
  Seq edge = c.rcv_adv;
  if (c.peeked) {
    edge = c.rcv_nxt + (c.peek_limit - std::min<std::size_t>(c.held_bytes(), c.peek_limit));
  } else if (c.fd && c.held_bytes() == 0) {
    if (c.taken_since >= std::max(kLookEvery, c.room_seen / 4)) look_at_room(c);
    const std::uint32_t room = c.room_seen - std::min(c.room_seen, c.taken_since);
    const bool memory_short = memory.left() < kMemory / 4;
    edge = c.rcv_nxt + std::min(kMaxReceiveWindow, room + (memory_short ? 0 : kOvercommit));
  }
  c.rcv_adv = max(c.rcv_adv, edge);
  return span(c.acknowledgeable(), c.rcv_adv);
}

}  // namespace microagent::netstack
