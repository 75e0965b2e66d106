#pragma once

// Coroutine waits on descriptors (aio/io.h), on the clock, and on facts.

#include <boost/asio/steady_timer.hpp>
#include <concepts>
#include <cstdint>

#include "aio/io.h"

namespace microagent::supervisor {

using namespace aio;

asio::awaitable<void> pause(std::chrono::milliseconds duration);

// Tells waiting coroutines that some fact has changed; they look for themselves.
class Changes {
 public:
  explicit Changes(const asio::any_io_executor& executor) : timer_(executor, kNever) {}

  void notify() {
    ++count_;
    timer_.cancel();
  }

  // Waits until `fact()` holds; false when the deadline came first.
  template <std::predicate Fact>
  asio::awaitable<bool> until(Fact fact, Deadline deadline) {
    for (;;) {
      const std::uint64_t seen = count_;
      if (fact()) co_return true;
      if (std::chrono::steady_clock::now() >= deadline) co_return false;
      co_await next(seen, deadline);
    }
  }

 private:
  asio::awaitable<void> next(std::uint64_t seen, Deadline deadline);
  asio::awaitable<void> change_after(std::uint64_t seen);

  asio::steady_timer timer_;  // never expires; cancelled to wake everybody up
  std::uint64_t count_ = 0;   // so that no change is missed between looking and waiting
};

}  // namespace microagent::supervisor
