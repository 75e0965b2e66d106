#pragma once

#include <cstdint>
#include <vector>

#include "mediator/stream.h"

namespace microagent::mediator {

// A stream, and what it has given and nobody has taken.
class Inflow {
 public:
  static constexpr std::size_t kPiece = 64 * 1024;

  explicit Inflow(Stream& stream) : stream_(stream), buffer_(kPiece) {}

  Stream& stream() { return stream_; }
  ByteView bytes() const { return ByteView(buffer_).subspan(first_, last_ - first_); }
  void take(std::size_t count) { first_ += count; }

  // Waits for bytes where there are none; none: the stream is over, and end() says how.
  asio::awaitable<bool> fill(Deadline deadline) {
    if (first_ < last_) co_return true;
    const Arrival arrival = co_await stream_.read_some(buffer_, deadline);
    first_ = 0;
    last_ = arrival.bytes;
    end_ = arrival.end;
    co_return arrival.bytes > 0;
  }

  StreamEnd end() const { return end_; }

 private:
  Stream& stream_;
  std::vector<std::uint8_t> buffer_;
  std::size_t first_ = 0, last_ = 0;
  StreamEnd end_ = StreamEnd::none;
};

// Carries bytes both ways, what was read ahead first, with half-closes, until both directions have ended or one is
// broken. Counts what has gone on.
asio::awaitable<void> carry_bytes(Inflow& guest, Inflow& upstream, std::uint64_t& bytes_out, std::uint64_t& bytes_in);

}  // namespace microagent::mediator
