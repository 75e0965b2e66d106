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

ssize_t Backlog::send_front(int socket, std::size_t bytes, int flags) {
  const std::size_t before_wrap = std::min(bytes, capacity_ - start_);
  std::array<iovec, 2> parts{{{bytes_.get() + start_, before_wrap}, {bytes_.get(), bytes - before_wrap}}};
  msghdr message{};
  message.msg_iov = parts.data();
  message.msg_iovlen = parts.size();
  const ssize_t sent = ::sendmsg(socket, &message, MSG_NOSIGNAL | MSG_DONTWAIT | flags);
  if (sent < 0) return -1;
  start_ = (start_ + static_cast<std::size_t>(sent)) % capacity_;
  size_ -= static_cast<std::size_t>(sent);
  if (size_ > 0) return sent;
  bytes_.reset();
  start_ = 0;
  return sent;
}

ssize_t Backlog::drain(int socket) {
  ssize_t total = 0;
  while (size_ > 0) {
    const ssize_t sent = send_front(socket, size_, 0);
    if (sent < 0 && errno == EINTR) continue;
    if (sent < 0) return errno == EAGAIN || errno == EWOULDBLOCK ? total : -1;
    total += sent;
  }
  return total;
}

void MessageBacklog::append(std::span<const iovec> pieces, std::size_t bytes, bool end) {
  MICROAGENT_CHECK(!full());
  Backlog::append(pieces, 0);
  open_ += bytes;
  if (!end) return;
  whole_.push_back(open_);
  open_ = 0;
}

ssize_t MessageBacklog::drain(int socket) {
  ssize_t total = 0;
  while (!whole_.empty()) {
    const ssize_t sent = send_front(socket, whole_.front(), MSG_EOR);
    if (sent < 0 && errno == EINTR) continue;
    if (sent < 0) return errno == EAGAIN || errno == EWOULDBLOCK ? total : -1;
    // The kernel takes a message whole or not at all (unix(7)).
    MICROAGENT_CHECK(static_cast<std::size_t>(sent) == whole_.front());
    whole_.pop_front();
    total += sent;
  }
  return total;
}

}  // namespace microagent::netd
