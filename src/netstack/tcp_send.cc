// What the host says to the guest: peeked at in the descriptor's queue, written into the guest's buffers.

#include <sys/socket.h>

#include <algorithm>
#include <cerrno>

#include "base/check.h"
#include "base/pieces.h"
#include "netstack/tcp_impl.h"
#include "wire/ip.h"

namespace microagent::netstack {

using wire::kTcpAck;
using wire::kTcpFin;
using wire::kTcpPsh;

// The payload of one frame. A guest that segments by itself takes as much as an IP packet can say.
std::uint32_t TcpFlows::Impl::segment_limit(const TcpConnection& c) const {
  const auto abilities = env.output.abilities();
  const bool ipv4 = c.key.guest.address.is_ipv4();
  if (!(ipv4 ? abilities.tso4 : abilities.tso6)) return c.mss;
  const std::size_t headers = (ipv4 ? sizeof(wire::Ipv4Header) : sizeof(wire::Ipv6Header)) + header_bytes(c);
  const auto most = static_cast<std::uint32_t>(65'535 - headers);
  return most - most % c.mss;
}

void TcpFlows::Impl::await_room(TcpConnection& c) {
  if (c.awaits_room) return;
  c.awaits_room = true;
  forget_dead(without_room);
  without_room.push_back(token_of(c));
}

// There is room again for what it had to say.
void TcpFlows::Impl::go_on(TcpConnection& c) {
  if (c.state == TcpState::syn_sent || c.state == TcpState::syn_received) return send_handshake(c);
  if (c.recovering) recover(c);
  pump(c);
}

std::uint32_t TcpFlows::Impl::allowance(const TcpConnection& c) const {
  const std::uint32_t flight = c.in_flight();
  const std::uint32_t reported = c.scoreboard ? std::min(flight, c.scoreboard->bytes()) : 0;
  const std::uint32_t under_way = flight - reported;
  const std::uint32_t by_guest = c.snd_wnd > flight ? c.snd_wnd - flight : 0;
  const std::uint32_t by_path = c.congestion.window() > under_way ? c.congestion.window() - under_way : 0;
  return std::min(by_guest, by_path);
}

// After a timeout, what the guest holds already is not sent again.
void TcpFlows::Impl::pass_over_reported(TcpConnection& c) {
  if (c.snd_nxt >= c.snd_max || !c.scoreboard || c.scoreboard->empty()) return;
  const auto gap = c.scoreboard->next_gap(c.snd_nxt);
  c.snd_nxt = gap ? gap->left : max(c.snd_nxt, c.scoreboard->highest());
}

// A closed window opens by an acknowledgement that may be lost (RFC 9293, 3.8.6.1).
void TcpFlows::Impl::begin_probing(TcpConnection& c) {
  if (c.probing) return;
  c.probing = true;
  restart_retransmission(c);
}

void TcpFlows::Impl::pump(TcpConnection& c) {
  while (c.state == TcpState::established && c.fd && !c.peeked && !c.awaits_room) {
    pass_over_reported(c);
    const bool at_end = c.host_ended && c.snd_nxt >= c.fin_at;
    if (at_end && c.host_failed) return reset_guest(c, c.host_end);
    if (at_end && c.fin_sent) return;
    if (!at_end && !c.host_readable && c.snd_nxt >= c.snd_max) return;

    const std::uint32_t flight = c.in_flight();
    const std::uint32_t allowed = allowance(c);
    if (allowed == 0 && flight == 0) return begin_probing(c);
    if (at_end) {
      if (c.snd_wnd > flight) send_fin(c);
      return;
    }
    // No silly windows: rather a full segment later than crumbs now (RFC 9293, 3.8.6.2.1).
    if (allowed < std::min<std::uint32_t>(c.mss, c.max_wnd / 2) && flight > 0) return;
    std::uint32_t most = std::min({segment_limit(c), c.read_size, allowed});
    if (c.snd_nxt < c.snd_max && c.scoreboard) {
      if (const auto gap = c.scoreboard->next_gap(c.snd_nxt)) most = std::min(most, span(gap->left, gap->right));
    }
    const bool again = c.snd_nxt < c.snd_max;
    if (again && c.budget != kNoBudget) most = std::min(most, span(c.snd_nxt, c.snd_max));
    switch (again || c.budget == kNoBudget ? send_data(c, most) : send_new_data(c, most)) {
      case Sent::some:
      case Sent::ended: break;
      case Sent::nothing:
      case Sent::gone: return;
    }
  }
}

TcpFlows::Impl::Sent TcpFlows::Impl::send_data(TcpConnection& c, std::uint32_t most) {
  const std::size_t header_size = header_bytes(c);
  if (!env.output.begin({c.key.remote.address, c.key.guest.address}, wire::kProtocolTcp, header_size, most)) {
    await_room(c);
    return Sent::nothing;
  }
  auto places = env.output.payload();
  if (places.size() > kMaxPlaces) {
    places = places.first(kMaxPlaces);
    most = static_cast<std::uint32_t>(total_bytes(places));
  }
  const ssize_t count = peek_at(c, c.unconsumed + c.in_flight(), places, allowance(c));
  if (count <= 0) {
    const int error = errno;
    env.output.abandon();
    return on_nothing_to_send(c, count == 0 ? 0 : error);
  }

  const auto bytes = static_cast<std::uint32_t>(count);
  adapt_read_size(c, bytes);
  // A short answer means that there was no more, and after the host has hung up that there never will be. (But a read
  // stops short at urgent data too.)
  const bool drained = bytes < most && !c.has_urgent;
  if (drained) c.host_readable = c.host_hung_up || c.host_failed;
  const bool last = drained && c.host_hung_up && !c.host_failed && c.snd_nxt + bytes >= c.snd_max;
  if (last) {
    c.host_readable = false;
    c.host_ended = c.fin_sent = true;
    c.fin_at = c.snd_nxt + bytes;
  }
  const auto flags = static_cast<std::uint8_t>(kTcpAck | (drained ? kTcpPsh : 0) | (last ? kTcpFin : 0));
  finish_data(c, c.snd_nxt, bytes, flags);

  const bool nothing_before = c.in_flight() == 0;
  const Seq data_end = c.snd_nxt + bytes, end = data_end + (last ? 1 : 0);
  if (!c.timing && !c.timestamps && c.snd_nxt >= c.snd_max) {
    c.timing = true;
    c.timed_at = c.snd_nxt;
    c.timed_ns = env.now_ns;
  }
  if (data_end > c.snd_max) c.bytes_in += span(max(c.snd_nxt, c.snd_max), data_end);
  c.snd_nxt = end;
  c.snd_max = max(c.snd_max, end);
  if (nothing_before || c.retransmit_due_ns == kNever) restart_retransmission(c);
  return Sent::some;
}

TcpFlows::Impl::Sent TcpFlows::Impl::on_nothing_to_send(TcpConnection& c, int error) {
  // (Without SO_PEEK_OFF a read stops at urgent data that the guest has not acknowledged yet.)
  c.host_readable = c.has_urgent && c.in_flight() > 0;
  if (c.host_failed) return reset_guest(c, c.host_end), Sent::gone;
  if (error == EAGAIN || error == EWOULDBLOCK) return Sent::nothing;
  if (error != 0) return on_host_failure(c, error), Sent::gone;
  c.host_readable = false;
  c.host_ended = true;
  c.fin_at = c.snd_nxt;
  return Sent::ended;
}

// A stream of small messages does not ask the guest for buffers of 64 KiB.
void TcpFlows::Impl::adapt_read_size(TcpConnection& c, std::uint32_t bytes) {
  if (bytes == c.read_size) c.read_size = std::min(4 * c.read_size, std::max(segment_limit(c), kFirstRead));
  else if (bytes < c.read_size / 4) c.read_size = std::max(c.read_size / 2, kFirstRead);
}

// Writes the header of the segment that was begun, its first `bytes` bytes of payload filled in.
void TcpFlows::Impl::finish_data(TcpConnection& c, Seq seq, std::uint32_t bytes, std::uint8_t flags) {
  std::array<std::uint8_t, Output::kMaxTransportHeader> header;
  const std::size_t encoded = encode_header(c, seq, flags, Payload::some, header);
  env.output.finish(MutableBytes(header).first(encoded), wire::kTcpChecksumOffset, bytes,
                    {bytes > c.mss ? c.mss : std::uint16_t{0}});
  note_ack_sent(c, false);
}

void TcpFlows::Impl::send_fin(TcpConnection& c) {
  if (!send_control(c, c.fin_at, kTcpFin | kTcpAck)) return await_room(c);
  c.fin_sent = true;
  c.snd_nxt = c.fin_at + 1;
  c.snd_max = max(c.snd_max, c.snd_nxt);
  restart_retransmission(c);
}

}  // namespace microagent::netstack
