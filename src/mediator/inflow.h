#pragma once

#include <array>
#include <cstdint>
#include <memory>
#include <optional>

#include "http/websocket_mask.h"
#include "mediator/stream.h"

namespace microagent::mediator {

// A stream, and what it has given and nobody has taken. While there is nothing it holds no buffer: most connections are
// idle most of the time.
class Inflow {
 public:
  static constexpr std::size_t kPiece = 64 * 1024;

  explicit Inflow(Stream& stream) : stream_(stream) {}
  Inflow(const Inflow&) = delete;
  Inflow& operator=(const Inflow&) = delete;
  ~Inflow() { release(); }

  Stream& stream() { return stream_; }
  ByteView bytes() const { return buffer_ ? ByteView(*buffer_).subspan(first_, last_ - first_) : ByteView(); }
  void take(std::size_t count);

  // Waits for bytes where there are none; none: the stream is over, and end() says how.
  asio::awaitable<bool> fill(Deadline deadline);
  // The same without waiting; nothing where one must wait.
  std::optional<bool> try_fill();

  StreamEnd end() const { return end_; }

 private:
  using Buffer = std::array<std::uint8_t, kPiece>;

  void release();

  Stream& stream_;
  std::unique_ptr<Buffer> buffer_;
  std::size_t first_ = 0, last_ = 0;
  StreamEnd end_ = StreamEnd::none;
};

// Carries bytes both ways, what was read ahead first, with half-closes, until both directions have ended or one is
// broken. Counts what has gone on. Where there is a `mask`, the upstream's bytes go through it, and its fault breaks
// their direction.
asio::awaitable<void> carry_bytes(Inflow& guest, Inflow& upstream, std::uint64_t& bytes_out, std::uint64_t& bytes_in,
                                  http::WebSocketMask* mask = nullptr);

}  // namespace microagent::mediator
