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

bool EarlyStream::must_wait() const { return !has_early() && !has_ended() && stream_.must_wait(); }

std::optional<Arrival> EarlyStream::take_some(MutableBytes into) {
  if (!has_early()) return has_ended() ? Arrival{0, end_} : stream_.take_some(into);
  const std::size_t count = std::min(into.size(), early_.size() - taken_);
  std::copy_n(early_.begin() + static_cast<std::ptrdiff_t>(taken_), count, into.begin());
  taken_ += count;
  return Arrival{count, StreamEnd::none};
}

}  // namespace microagent::mediator
