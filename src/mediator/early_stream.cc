#include "mediator/early_stream.h"

#include <algorithm>
#include <array>

namespace microagent::mediator {

asio::awaitable<ByteView> EarlyStream::read_ahead(Deadline deadline) {
  std::array<std::uint8_t, 4096> piece;
  const std::size_t room = std::min(piece.size(), kMaxEarly - early_.size());
  if (room == 0) co_return ByteView();
  const Arrival arrival = co_await stream_.read_some(MutableBytes(piece).first(room), deadline);
  if (arrival.bytes == 0) end_ = arrival.end;
  early_.insert(early_.end(), piece.begin(), piece.begin() + static_cast<std::ptrdiff_t>(arrival.bytes));
  co_return ByteView(early_).last(arrival.bytes);
}

asio::awaitable<Arrival> EarlyStream::read_some(MutableBytes into, Deadline deadline) {
  if (taken_ < early_.size()) {
    const std::size_t count = std::min(into.size(), early_.size() - taken_);
    std::copy_n(early_.begin() + static_cast<std::ptrdiff_t>(taken_), count, into.begin());
    taken_ += count;
    co_return Arrival{count, StreamEnd::none};
  }
  if (end_ == StreamEnd::finished || end_ == StreamEnd::cut_off) co_return Arrival{0, end_};
  co_return co_await stream_.read_some(into, deadline);
}

}  // namespace microagent::mediator
