#include "mediator/inflow.h"

#include <utility>
#include <vector>

namespace microagent::mediator {
namespace {

constexpr std::size_t kSpare = 16;  // buffers kept for the next who need one

template <typename Buffer>
std::vector<std::unique_ptr<Buffer>>& spare_buffers() {
  static thread_local std::vector<std::unique_ptr<Buffer>> spare;
  return spare;
}

template <typename Buffer>
std::unique_ptr<Buffer> take_buffer() {
  auto& spare = spare_buffers<Buffer>();
  if (spare.empty()) return std::make_unique_for_overwrite<Buffer>();
  auto buffer = std::move(spare.back());
  spare.pop_back();
  return buffer;
}

}  // namespace

void Inflow::take(std::size_t count) {
  first_ += count;
  if (first_ == last_) release();
}

std::optional<bool> Inflow::try_fill() {
  if (first_ < last_) return true;
  if (stream_.must_wait()) {
    release();
    return std::nullopt;
  }
  if (!buffer_) buffer_ = take_buffer<Buffer>();
  const auto arrival = stream_.take_some(*buffer_);
  if (!arrival) {
    release();
    return std::nullopt;
  }
  first_ = 0;
  last_ = arrival->bytes;
  end_ = arrival->end;
  return last_ > 0;
}

asio::awaitable<bool> Inflow::fill(Deadline deadline) {
  for (;;) {
    if (const auto filled = try_fill()) co_return *filled;
    const Wait wait = co_await stream_.wait_for_more(deadline);
    if (wait == Wait::ready) continue;
    end_ = wait == Wait::timed_out ? StreamEnd::timed_out : StreamEnd::failed;
    co_return false;
  }
}

void Inflow::release() {
  first_ = last_ = 0;
  if (!buffer_) return;
  auto& spare = spare_buffers<Buffer>();
  if (spare.size() < kSpare) spare.push_back(std::move(buffer_));
  buffer_.reset();
}

}  // namespace microagent::mediator
