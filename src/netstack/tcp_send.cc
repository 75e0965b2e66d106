// What the host says to the guest: peeked at in the descriptor's queue, written into the guest's buffers.

#include <sys/socket.h>

#include <algorithm>
#include <cerrno>

#include "base/check.h"
#include "netstack/tcp_impl.h"
#include "wire/ip.h"

namespace microagent::netstack {

using wire::kTcpAck;
using wire::kTcpFin;
using wire::kTcpPsh;

namespace {

constexpr std::size_t kScratch = 64 * 1024;
constexpr std::size_t kMaxIov = 1024;  // UIO_MAXIOV

}  // namespace

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
  without_room.push_back(token_of(c));
}

void TcpFlows::Impl::pump(TcpConnection& c) {
  while (c.state == TcpState::established && c.fd && !c.peeked && !c.awaits_room) {
    if (c.host_ended && c.snd_nxt == c.fin_at) {
      if (!c.fin_sent) send_fin(c);
      return;
    }
    // After a timeout, what the guest holds already is passed over.
    std::uint32_t most = std::min(segment_limit(c), c.read_size);
    if (c.snd_nxt < c.snd_max && c.scoreboard && !c.scoreboard->empty()) {
      const auto gap = c.scoreboard->next_gap(c.snd_nxt);
      c.snd_nxt = gap ? gap->left : max(c.snd_nxt, c.scoreboard->highest());
      if (gap) most = std::min(most, span(gap->left, gap->right));
    }
    if (!c.host_readable && c.snd_nxt >= c.snd_max) return;

    const std::uint32_t flight = c.in_flight();
    std::uint32_t under_way = flight;
    if (c.scoreboard) under_way -= std::min(flight, c.scoreboard->bytes());
    const std::uint32_t by_guest = c.snd_wnd > flight ? c.snd_wnd - flight : 0;
    const std::uint32_t by_path = c.congestion.window() > under_way ? c.congestion.window() - under_way : 0;
    const std::uint32_t allowed = std::min(by_guest, by_path);
    if (allowed == 0 && flight == 0) {
      // A closed window opens by an acknowledgement that may be lost (RFC 9293, 3.8.6.1).
      if (!c.probing) {
        c.probing = true;
        c.retransmit_due_ns = env.now_ns + c.round_trip.timeout_ns();
        set_timer(c);
      }
      return;
    }
    // No silly windows: rather a full segment later than crumbs now (RFC 9293, 3.8.6.2.1).
    if (allowed < std::min<std::uint32_t>(c.mss, c.max_wnd / 2) && flight > 0) return;
    switch (send_data(c, std::min(most, allowed))) {
      case Sent::some: break;
      case Sent::nothing:
      case Sent::gone: return;
      case Sent::ended: break;
    }
  }
}

TcpFlows::Impl::Sent TcpFlows::Impl::send_data(TcpConnection& c, std::uint32_t most) {
  const std::size_t header_size = header_bytes(c);
  if (!env.output.begin({c.key.remote.address, c.key.guest.address}, wire::kProtocolTcp, header_size, most)) {
    await_room(c);
    return Sent::nothing;
  }
  const ssize_t count = peek_at(c, c.unconsumed + c.in_flight(), env.output.payload());
  if (count <= 0) {
    const int error = errno;
    env.output.abandon();
    c.host_readable = false;
    if (count == 0) {
      c.host_ended = true;
      c.fin_at = c.snd_nxt;
      return Sent::ended;
    }
    if (error == EAGAIN || error == EWOULDBLOCK) return Sent::nothing;
    return host_failed(c, error), Sent::gone;
  }

  const auto bytes = static_cast<std::uint32_t>(count);
  // A short answer means that there was no more, and after the host has hung up that there never will be.
  const bool drained = bytes < most;
  if (drained) c.host_readable = c.host_hung_up;
  if (bytes == c.read_size) c.read_size = std::min(4 * c.read_size, std::max(segment_limit(c), kFirstRead));
  else if (bytes < c.read_size / 4) c.read_size = std::max(c.read_size / 2, kFirstRead);
  const bool last = drained && c.host_hung_up && c.snd_nxt + bytes >= c.snd_max;
  if (last) {
    c.host_readable = false;
    c.host_ended = c.fin_sent = true;
    c.fin_at = c.snd_nxt + bytes;
  }
  std::array<std::uint8_t, Output::kMaxTransportHeader> header;
  const auto flags = static_cast<std::uint8_t>(kTcpAck | (drained ? kTcpPsh : 0) | (last ? kTcpFin : 0));
  const std::size_t encoded = encode_header(c, c.snd_nxt, flags, header);
  MICROAGENT_CHECK(encoded == header_size);
  env.output.finish(MutableBytes(header).first(encoded), wire::kTcpChecksumOffset, bytes,
                    {bytes > c.mss ? c.mss : std::uint16_t{0}});

  const bool nothing_before = c.in_flight() == 0;
  const Seq end = c.snd_nxt + bytes + (last ? 1 : 0);
  if (!c.timing && !c.timestamps && c.snd_nxt >= c.snd_max) {
    c.timing = true;
    c.timed_at = c.snd_nxt;
    c.timed_ns = env.now_ns;
  }
  if (end > c.snd_max) c.bytes_in += span(max(c.snd_nxt, c.snd_max), c.snd_nxt + bytes);
  c.snd_nxt = end;
  c.snd_max = max(c.snd_max, end);
  if (nothing_before || c.retransmit_due_ns == kNever) restart_retransmission(c);
  return Sent::some;
}

void TcpFlows::Impl::send_fin(TcpConnection& c) {
  if (!send_control(c, c.fin_at, kTcpFin | kTcpAck)) return await_room(c);
  c.fin_sent = true;
  c.snd_nxt = c.fin_at + 1;
  c.snd_max = max(c.snd_max, c.snd_nxt);
  restart_retransmission(c);
}

// Where the next peek begins, in bytes behind the front of the socket's queue (SO_PEEK_OFF, socket(7)).
void TcpFlows::Impl::set_queue_offset(TcpConnection& c, std::uint32_t offset) {
  if (c.queue_offset == offset) return;
  const int value = static_cast<int>(offset);
  ::setsockopt(c.fd.get(), SOL_SOCKET, SO_PEEK_OFF, &value, sizeof value);
  c.queue_offset = offset;
}

// Peeks at what lies `offset` bytes behind the front of the queue. As recvmsg(2): 0 at the end of the stream.
ssize_t TcpFlows::Impl::peek_at(TcpConnection& c, std::uint32_t offset, std::span<iovec> pieces) {
  msghdr message{};
  if (c.peeks_at_offset) {
    set_queue_offset(c, offset);
    message.msg_iov = pieces.data();
    message.msg_iovlen = std::min(pieces.size(), kMaxIov);
    ssize_t count = 0;
    do {
      count = ::recvmsg(c.fd.get(), &message, MSG_PEEK | MSG_DONTWAIT);
    } while (count < 0 && errno == EINTR);
    if (count > 0) c.queue_offset += static_cast<std::uint32_t>(count);
    return count;
  }
  // Linux before 6.9: what lies before is read along and forgotten.
  scratch.resize(kScratch);
  std::vector<iovec> whole;
  for (std::size_t left = offset; left > 0 && whole.size() < kMaxIov / 2;) {
    const std::size_t part = std::min(left, kScratch);
    whole.push_back({scratch.data(), part});
    left -= part;
  }
  whole.insert(whole.end(), pieces.begin(), pieces.end());
  message.msg_iov = whole.data();
  message.msg_iovlen = std::min(whole.size(), kMaxIov);
  ssize_t count = 0;
  do {
    count = ::recvmsg(c.fd.get(), &message, MSG_PEEK | MSG_DONTWAIT);
  } while (count < 0 && errno == EINTR);
  if (count < 0 || offset == 0) return count;
  if (count > static_cast<ssize_t>(offset)) return count - static_cast<ssize_t>(offset);
  if (c.host_hung_up) return 0;
  errno = EAGAIN;
  return -1;
}

// Takes what the guest has acknowledged off the socket's queue: in large steps, since each is a system call and opens
// the host's window.
void TcpFlows::Impl::consume(TcpConnection& c, bool all) {
  const std::uint32_t step = c.in_flight() == 0 ? kConsumeStep / 8 : kConsumeStep;
  if (c.unconsumed == 0 || (!all && c.unconsumed < step)) return;
  while (c.unconsumed > 0) {
    ssize_t count = 0;
    if (c.is_tcp) {
      count = ::recv(c.fd.get(), nullptr, c.unconsumed, MSG_TRUNC | MSG_DONTWAIT);
    } else {
      scratch.resize(kScratch);
      count = ::recv(c.fd.get(), scratch.data(), std::min<std::size_t>(c.unconsumed, kScratch), MSG_DONTWAIT);
    }
    if (count < 0 && errno == EINTR) continue;
    if (count <= 0) return;  // the host's failure is told by its own event
    const auto taken = static_cast<std::uint32_t>(count);
    c.unconsumed -= taken;
    c.queue_offset -= std::min(c.queue_offset, taken);  // the kernel moves it along
  }
}

}  // namespace microagent::netstack
