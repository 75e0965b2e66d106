// Repeating what was lost on the way to the guest (RFC 5681, RFC 6298, RFC 6582, RFC 6675), and asking a silent guest
// whether it is still there.

#include <algorithm>

#include "netstack/tcp_impl.h"
#include "wire/ip.h"

namespace microagent::netstack {

using wire::kTcpAck;
using wire::kTcpFin;
using wire::kTcpPsh;

namespace {

constexpr std::uint8_t kDuplicateAcks = 3;  // RFC 5681, 3.2
constexpr std::uint8_t kHandshakeRetries = 5;

}  // namespace

void TcpFlows::Impl::restart_retransmission(TcpConnection& c) {
  const bool waits = c.in_flight() > 0 || c.probing;
  c.retransmit_due_ns = waits ? env.now_ns + c.round_trip.timeout_ns() : kNever;
  set_timer(c);
}

bool TcpFlows::Impl::on_sack(TcpConnection& c, const TcpSegment& segment) {
  const std::uint32_t known = c.scoreboard ? c.scoreboard->bytes() : 0;
  for (const wire::SackBlock& block : std::span(segment.options.sack).first(segment.options.sack_count)) {
    const Seq left(block.left), right(block.right);
    // What is no part of what is under way tells nothing (among it RFC 2883's reports of duplicates).
    const bool sensible = left < right && left > segment.ack && left > c.snd_una && right <= c.snd_max;
    if (!sensible) continue;
    if (!c.scoreboard) c.scoreboard = std::make_unique<Scoreboard>();
    c.scoreboard->add({left, right});
  }
  return c.scoreboard && c.scoreboard->bytes() > known;
}

void TcpFlows::Impl::look_for_loss(TcpConnection& c, bool duplicate) {
  if (c.recovering || c.in_flight() == 0 || c.snd_nxt < c.snd_max) return;
  if (duplicate && c.duplicate_acks < kDuplicateAcks) ++c.duplicate_acks;
  // RFC 6675, 4: a few large segments bring few duplicates, but report as much.
  const bool lost = c.scoreboard && c.scoreboard->bytes() > (kDuplicateAcks - 1U) * c.mss;
  if (c.duplicate_acks >= kDuplicateAcks || lost) enter_recovery(c);
}

void TcpFlows::Impl::enter_recovery(TcpConnection& c) {
  c.recovering = true;
  c.recover = c.snd_max;
  c.retransmit_next = c.snd_una;
  c.timing = false;  // Karn: what is sent twice is not timed
  c.congestion.on_loss(c.in_flight(), c.mss);
  recover(c);
}

// Fills the gaps, oldest first, as far as the path takes it. RFC 6675's pipe: what is under way is neither reported nor
// lost; lost is every gap below the highest report that was not sent again.
void TcpFlows::Impl::recover(TcpConnection& c) {
  if (!c.fd || c.awaits_room) return;
  for (;;) {
    const bool reported = c.scoreboard && !c.scoreboard->empty();
    const Seq from = max(c.snd_una, c.retransmit_next);
    std::uint32_t under_way = c.in_flight();
    if (reported) under_way -= std::min(under_way, c.scoreboard->bytes() + c.scoreboard->gap_bytes(from));
    const bool first = c.retransmit_next == c.snd_una;
    if (!first && under_way + c.mss > c.congestion.window()) return;
    std::optional<Scoreboard::Range> gap;
    if (reported) gap = c.scoreboard->next_gap(from);
    else if (first) gap = Scoreboard::Range{c.snd_una, min(c.snd_una + c.mss, c.snd_max)};
    if (!gap || gap->left >= c.snd_max) return;
    const std::uint32_t left = c.congestion.window() - std::min(under_way, c.congestion.window());
    const std::uint32_t room = std::max<std::uint32_t>(c.mss, left);
    const std::uint32_t bytes = std::min({span(gap->left, gap->right), room, segment_limit(c)});
    const std::uint32_t sent = retransmit(c, gap->left, bytes);
    if (sent == 0) return;
    c.retransmit_next = gap->left + sent;
  }
}

// 0 when the guest has no room.
std::uint32_t TcpFlows::Impl::retransmit(TcpConnection& c, Seq at, std::uint32_t bytes) {
  const bool reaches_fin = c.fin_sent && at + bytes > c.fin_at;
  const std::uint32_t payload = reaches_fin ? span(at, c.fin_at) : bytes;
  if (payload == 0) return send_control(c, c.fin_at, kTcpFin | kTcpAck) ? 1 : 0;
  if (!env.output.begin({c.key.remote.address, c.key.guest.address}, wire::kProtocolTcp, header_bytes(c), payload)) {
    await_room(c);
    return 0;
  }
  const ssize_t count = peek_at(c, c.unconsumed + span(c.snd_una, at), env.output.payload());
  if (count <= 0) {
    env.output.abandon();
    return 0;
  }
  const auto found = static_cast<std::uint32_t>(count);
  const bool with_fin = reaches_fin && found == payload;
  finish_data(c, at, found, static_cast<std::uint8_t>(kTcpAck | kTcpPsh | (with_fin ? kTcpFin : 0)));
  if (c.retransmit_due_ns == kNever) restart_retransmission(c);
  return found + (with_fin ? 1 : 0);
}

void TcpFlows::Impl::on_retransmission_timeout(TcpConnection& c) {
  const bool handshake = c.state == TcpState::syn_sent || c.state == TcpState::syn_received;
  if (!handshake && (c.state != TcpState::established || c.in_flight() == 0)) return;
  if (++c.retries > (handshake ? kHandshakeRetries : kRetries)) return give_up(c);
  c.round_trip.back_off();
  c.timing = false;
  if (handshake) {
    send_handshake(c);
    return restart_retransmission(c);
  }
  // From the oldest byte again, slowly. What the guest has reported is passed over the first time; a guest that still
  // does not acknowledge may have forgotten it (RFC 2018, 8).
  c.congestion.on_timeout(c.in_flight(), c.mss);
  if (c.retries > 1 && c.scoreboard) c.scoreboard->clear();
  c.recovering = c.fin_sent = false;
  c.duplicate_acks = 0;
  c.snd_nxt = c.snd_una;
  c.host_readable |= !c.host_ended;
  pump(c);
  if (c.state != TcpState::established) return;
  c.retransmit_due_ns = env.now_ns + c.round_trip.timeout_ns();
}

// A closed window: an empty segment that the guest must answer with its window, since it lies before what it expects.
void TcpFlows::Impl::probe(TcpConnection& c) {
  c.round_trip.back_off();
  if (c.retries < kRetries) ++c.retries;
  if (env.now_ns - c.last_heard_ns > kIdleNs) return give_up(c);
  (void)send_control(c, c.snd_una - 1, kTcpAck);
  restart_retransmission(c);
}

// A guest that has never answered to a dial has refused it, as its caller sees it (flow/messages.h).
void TcpFlows::Impl::give_up(TcpConnection& c) {
  reset_guest(c, c.dialled && c.state != TcpState::established ? End::refused : End::timed_out);
}

void TcpFlows::Impl::on_idle(TcpConnection& c) {
  if (c.state == TcpState::syn_sent || c.state == TcpState::syn_received) return give_up(c);
  if (c.state != TcpState::established) return;
  const std::uint64_t silent_ns = env.now_ns - c.last_heard_ns;
  if (silent_ns < kIdleNs) {
    c.idle_due_ns = c.last_heard_ns + kIdleNs;
    return;
  }
  if (silent_ns >= kIdleNs + kKeepAlives * kKeepAliveNs) return give_up(c);
  (void)send_control(c, c.snd_una - 1, kTcpAck);
  c.idle_due_ns = env.now_ns + kKeepAliveNs;
}

}  // namespace microagent::netstack
