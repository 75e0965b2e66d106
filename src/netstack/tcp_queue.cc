// The receive queue of a connection's descriptor: looking at what lies in it, and taking off what is not needed.

#include <sys/socket.h>

#include <algorithm>
#include <cerrno>
#include <cstring>

#include "base/check.h"
#include "base/pieces.h"
#include "netstack/tcp_impl.h"

namespace microagent::netstack {
namespace {

constexpr std::size_t kScratch = 256 * 1024;
constexpr std::size_t kMaxAhead = 256 * 1024;

ssize_t peek_now(int fd, std::span<iovec> pieces) {
  msghdr message{};
  message.msg_iov = pieces.data();
  message.msg_iovlen = pieces.size();
  for (;;) {
    const ssize_t count = ::recvmsg(fd, &message, MSG_PEEK | MSG_DONTWAIT);
    if (count >= 0 || errno != EINTR) return count;
  }
}

// Copies `bytes` to the front of `pieces`, as much as they hold.
void scatter(ByteView bytes, std::span<const iovec> pieces) {
  for (const iovec& piece : pieces) {
    const std::size_t count = std::min(bytes.size(), piece.iov_len);
    if (count == 0) return;
    std::memcpy(piece.iov_base, bytes.data(), count);
    bytes = bytes.subspan(count);
  }
}

}  // namespace

ByteView TcpFlows::Impl::Ahead::at(std::uint64_t of, std::uint32_t from) const {
  if (of != token || from < offset || from - offset >= size) return {};
  return ByteView(bytes).subspan(start + (from - offset), size - (from - offset));
}

void TcpFlows::Impl::Ahead::on_consumed(std::uint64_t of, std::uint32_t count) {
  if (of != token) return;
  const std::uint32_t gone = std::min(size, count - std::min(count, offset));
  offset -= std::min(count, offset);
  start += gone;
  size -= gone;
}

// As recvmsg(2): 0 at the end of the stream. Frames of 64 KiB are filled by the kernel, one system call each. For
// frames of one segment, or where each call begins at the front of the queue, many frames' bytes are read ahead.
ssize_t TcpFlows::Impl::peek_at(TcpConnection& c, std::uint32_t offset, std::span<iovec> pieces, std::uint32_t more) {
  if (c.peeks_at_offset && segment_limit(c) > c.mss) return peek_through(c, offset, pieces);
  const std::size_t wanted = total_bytes(pieces);
  ByteView known = ahead.at(token_of(c), offset);
  if (known.size() < wanted) {
    ahead.bytes.resize(kMaxAhead);
    const std::size_t most = std::clamp<std::size_t>(more, std::min(wanted, kMaxAhead), kMaxAhead);
    iovec room{ahead.bytes.data(), most};
    const ssize_t count = peek_through(c, offset, {&room, 1});
    ahead.token = token_of(c);
    ahead.offset = offset;
    ahead.start = 0;
    ahead.size = static_cast<std::uint32_t>(std::max<ssize_t>(count, 0));
    if (count <= 0) return count;
    known = ahead.at(ahead.token, offset);
  }
  const std::size_t count = std::min(known.size(), wanted);
  scatter(known.first(count), pieces);
  return static_cast<ssize_t>(count);
}

ssize_t TcpFlows::Impl::peek_through(TcpConnection& c, std::uint32_t offset, std::span<iovec> pieces) {
  if (!c.peeks_at_offset) return peek_from_front(c, offset, pieces);
  if (c.queue_offset != offset) {
    const int value = static_cast<int>(offset);
    ::setsockopt(c.fd.get(), SOL_SOCKET, SO_PEEK_OFF, &value, sizeof value);
    c.queue_offset = offset;
  }
  const ssize_t count = peek_now(c.fd.get(), pieces);
  if (count > 0) c.queue_offset += static_cast<std::uint32_t>(count);
  return count;
}

// Linux before 6.9: what lies before is read along and forgotten.
ssize_t TcpFlows::Impl::peek_from_front(TcpConnection& c, std::uint32_t offset, std::span<iovec> pieces) {
  static_assert(kMaxSkips * kScratch > Congestion::kMaxWindow + 2 * kConsumeStep);
  scratch.resize(kScratch);
  std::size_t used = 0;
  for (std::size_t left = offset; left > 0; left -= peek_pieces[used++].iov_len) {
    MICROAGENT_CHECK(used < kMaxSkips);
    peek_pieces[used] = iovec{scratch.data(), std::min(left, kScratch)};
  }
  MICROAGENT_CHECK(pieces.size() <= kMaxPlaces);
  std::ranges::copy(pieces, peek_pieces.begin() + static_cast<std::ptrdiff_t>(used));
  const ssize_t count = peek_now(c.fd.get(), std::span(peek_pieces).first(used + pieces.size()));
  if (count < 0 || offset == 0) return count;
  if (count > static_cast<ssize_t>(offset)) return count - static_cast<ssize_t>(offset);
  // A read stops at urgent data too, and goes on when what lies before it is consumed.
  if (count == static_cast<ssize_t>(offset) && c.host_hung_up && !c.has_urgent) return 0;
  errno = EAGAIN;
  return -1;
}

// Takes off what the guest has acknowledged: each time a system call, so in steps as large as what is still under way.
// When nothing is, then all of it: the host may wait for the room.
void TcpFlows::Impl::consume(TcpConnection& c, bool all) {
  const std::uint32_t step = all ? 0 : std::min(c.in_flight(), kConsumeStep);
  if (c.unconsumed < step) return;
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
    ahead.on_consumed(token_of(c), taken);
  }
}

}  // namespace microagent::netstack
