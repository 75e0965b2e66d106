#include "supervisor/io.h"

#include <boost/asio/experimental/awaitable_operators.hpp>
#include <boost/asio/this_coro.hpp>

namespace microagent::supervisor {

asio::awaitable<void> pause(std::chrono::milliseconds duration) {
  asio::steady_timer timer(co_await asio::this_coro::executor, duration);
  co_await timer.async_wait(kAsTuple);
}

asio::awaitable<void> Changes::change_after(std::uint64_t seen) {
  if (count_ == seen) co_await timer_.async_wait(kAsTuple);
}

asio::awaitable<void> Changes::next(std::uint64_t seen, Deadline deadline) {
  using namespace asio::experimental::awaitable_operators;
  if (deadline == kNever) co_return co_await change_after(seen);
  asio::steady_timer limit(timer_.get_executor(), deadline);
  co_await (change_after(seen) || limit.async_wait(kAsTuple));
}

}  // namespace microagent::supervisor
