#pragma once

#include <vector>

#include "mediator/stream.h"

namespace microagent::mediator {

// A stream whose first bytes can be looked at before anybody takes them.
class EarlyStream final : public Stream {
 public:
  explicit EarlyStream(Stream& stream) : stream_(stream) {}

  // At most so much is read ahead.
  static constexpr std::size_t kMaxEarly = 16 * 1024;

  // Waits for more bytes, and gives those that are new; none: the stream is over, or there is no more room. Cancelled,
  // it has taken nothing.
  asio::awaitable<ByteView> read_ahead(Deadline deadline);

  std::optional<Arrival> take_some(MutableBytes into) override;
  bool must_wait() const override;
  asio::awaitable<bool> write_all(ByteView bytes, Deadline deadline) override {
    return stream_.write_all(bytes, deadline);
  }
  asio::awaitable<void> finish() override { return stream_.finish(); }
  SocketStream& socket() override { return stream_.socket(); }

 private:
  Stream& stream_;
  std::vector<std::uint8_t> early_;
  std::size_t taken_ = 0;
  bool has_early() const { return taken_ < early_.size(); }
  bool has_ended() const { return end_ == StreamEnd::finished || end_ == StreamEnd::cut_off; }

  StreamEnd end_ = StreamEnd::none;  // met while reading ahead
};

}  // namespace microagent::mediator
