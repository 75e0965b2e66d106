#pragma once

#include <sys/uio.h>

#include <cstdint>
#include <deque>
#include <memory>
#include <span>

#include "base/bytes.h"

namespace microagent::netd {

// Bytes that a host descriptor has not taken yet: a ring of fixed capacity, whose memory exists only while it holds
// something. Either a stream, or messages, each of which reaches the descriptor whole (MessageBacklog).
class Backlog {
 public:
  explicit Backlog(std::size_t capacity) : capacity_(capacity) {}

  bool empty() const { return size_ == 0; }
  std::size_t size() const { return size_; }

  // Appends the pieces without their first `skip` bytes. They must fit.
  void append(std::span<const iovec> pieces, std::size_t skip);

  // Sends as much as the socket takes without blocking; how many bytes that were, or -1 with errno when it failed.
  ssize_t drain(int socket);

 protected:
  // One sendmsg(2) of the first `bytes` bytes; how many were taken, which are gone then, or -1 with errno.
  ssize_t send_front(int socket, std::size_t bytes, int flags);

 private:
  void append(ByteView bytes);

  std::size_t capacity_;
  std::unique_ptr<std::uint8_t[]> bytes_;
  std::size_t start_ = 0;
  std::size_t size_ = 0;
};

// Bytes with the ends of messages between them, for a SOCK_SEQPACKET descriptor.
class MessageBacklog : private Backlog {
 public:
  // Whole messages that may wait; a guest can send empty ones, which cost it no credit, for ever.
  static constexpr std::size_t kMaxMessages = 1024;

  using Backlog::Backlog;
  // Whether there is nothing to send: a message that is not whole never is.
  bool empty() const { return whole_.empty(); }
  bool full() const { return whole_.size() >= kMaxMessages; }

  // Adds to the message that is not whole yet; `end` makes it so.
  void append(std::span<const iovec> pieces, std::size_t bytes, bool end);

  // Sends the whole messages that the socket takes without blocking; how many bytes those were, or -1 with errno.
  ssize_t drain(int socket);

 private:
  std::deque<std::size_t> whole_;  // their lengths
  std::size_t open_ = 0;           // bytes of the one that is not whole
};

}  // namespace microagent::netd
