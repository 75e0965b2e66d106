#pragma once

#include <sys/uio.h>

#include <cstdint>
#include <memory>
#include <span>

#include "base/bytes.h"

namespace microagent::netd {

// Bytes that a host descriptor has not taken yet: a ring of fixed capacity, whose memory exists only while it holds
// something.
class Backlog {
 public:
  explicit Backlog(std::size_t capacity) : capacity_(capacity) {}

  bool empty() const { return size_ == 0; }
  std::size_t size() const { return size_; }

  // Appends the pieces without their first `skip` bytes. They must fit.
  void append(std::span<const iovec> pieces, std::size_t skip);

  // Sends as much as the socket takes without blocking; how many bytes that were, or -1 with errno when it failed.
  ssize_t drain(int socket);

 private:
  void append(ByteView bytes);

  std::size_t capacity_;
  std::unique_ptr<std::uint8_t[]> bytes_;
  std::size_t start_ = 0;
  std::size_t size_ = 0;
};

}  // namespace microagent::netd
