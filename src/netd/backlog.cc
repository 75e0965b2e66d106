#include "netd/backlog.h"

#include <sys/socket.h>

#include <algorithm>
#include <array>
#include <cerrno>

#include "base/check.h"

namespace microagent::netd {

void Backlog::append(std::span<const iovec> pieces, std::size_t skip) {
  for (const iovec& piece : pieces) {
    const std::size_t skipped = std::min(skip, piece.iov_len);
    skip -= skipped;
    append(ByteView(static_cast<const std::uint8_t*>(piece.iov_base), piece.iov_len).subspan(skipped));
  }
}

void Backlog::append(ByteView bytes) {
  MICROAGENT_CHECK(bytes.size() <= capacity_ - size_);
  if (bytes.empty()) return;
  if (!bytes_) bytes_ = std::make_unique_for_overwrite<std::uint8_t[]>(capacity_);
  const std::size_t end = (start_ + size_) % capacity_;
  const std::size_t before_wrap = std::min(bytes.size(), capacity_ - end);
  std::ranges::copy(bytes.first(before_wrap), bytes_.get() + end);
  std::ranges::copy(bytes.subspan(before_wrap), bytes_.get());
  size_ += bytes.size();
}

ssize_t Backlog::drain(int socket) {
  ssize_t total = 0;
  while (size_ > 0) {
    const std::size_t before_wrap = std::min(size_, capacity_ - start_);
    std::array<iovec, 2> parts{{{bytes_.get() + start_, before_wrap}, {bytes_.get(), size_ - before_wrap}}};
    msghdr message{};
    message.msg_iov = parts.data();
    message.msg_iovlen = parts.size();
    const ssize_t sent = ::sendmsg(socket, &message, MSG_NOSIGNAL | MSG_DONTWAIT);
    if (sent < 0 && errno == EINTR) continue;
    if (sent < 0 && (errno == EAGAIN || errno == EWOULDBLOCK)) return total;
    if (sent < 0) return -1;
    start_ = (start_ + static_cast<std::size_t>(sent)) % capacity_;
    size_ -= static_cast<std::size_t>(sent);
    total += sent;
  }
  bytes_.reset();
  start_ = 0;
  return total;
}

}  // namespace microagent::netd
