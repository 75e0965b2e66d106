#pragma once

// Coroutine waits on descriptors and on facts. Every wait on another process has a deadline; errors are values.

#include <boost/asio/awaitable.hpp>
#include <boost/asio/posix/stream_descriptor.hpp>
#include <boost/asio/steady_timer.hpp>
#include <chrono>
#include <concepts>
#include <cstdint>
#include <string_view>

#include "base/bytes.h"
#include "base/fd.h"
#include "base/result.h"

namespace microagent::supervisor {

namespace asio = boost::asio;

using Descriptor = asio::posix::stream_descriptor;
using Deadline = std::chrono::steady_clock::time_point;

inline Deadline in(std::chrono::milliseconds duration) { return std::chrono::steady_clock::now() + duration; }
inline constexpr Deadline kNever = Deadline::max();

// Puts a descriptor under the event loop's care, nonblocking.
Result<Descriptor> watch(const asio::any_io_executor& executor, Fd fd);

enum class Wait { ready, timed_out, failed };
asio::awaitable<Wait> wait_readable(Descriptor& descriptor, Deadline deadline);
asio::awaitable<Wait> wait_writable(Descriptor& descriptor, Deadline deadline);
asio::awaitable<void> pause(std::chrono::milliseconds duration);

// Reads what is there, at least one byte or one packet. 0: the end, a failure, or the deadline.
asio::awaitable<std::size_t> read_some(Descriptor& descriptor, MutableBytes into, Deadline deadline);
// Sends all of `bytes` on a stream socket; false when it fails or is too slow. `bytes` must outlive the call.
asio::awaitable<bool> send_all(Descriptor& socket, std::string_view bytes, Deadline deadline);

// Lets a coroutine run on its own; the event loop owns it and destroys it with itself. What it throws, which is memory
// running out or a bug of ours, comes out of the event loop's run().
void spawn(const asio::any_io_executor& executor, asio::awaitable<void> coroutine);

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
