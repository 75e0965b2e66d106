#pragma once

// Coroutine input and output on nonblocking descriptors, for every folder with an event loop. A wait on another process
// has a deadline, or ends with the coroutine that waits; errors are values, never exceptions.

#include <boost/asio/as_tuple.hpp>
#include <boost/asio/awaitable.hpp>
#include <boost/asio/posix/stream_descriptor.hpp>
#include <boost/asio/use_awaitable.hpp>
#include <chrono>

#include "base/bytes.h"
#include "base/fd.h"
#include "base/result.h"

namespace microagent::aio {

namespace asio = boost::asio;

using Descriptor = asio::posix::stream_descriptor;
using Deadline = std::chrono::steady_clock::time_point;

inline Deadline in(std::chrono::milliseconds duration) { return std::chrono::steady_clock::now() + duration; }
inline constexpr Deadline kNever = Deadline::max();

inline constexpr auto kAsTuple = asio::as_tuple(asio::use_awaitable);

// Puts a descriptor under the event loop's care, nonblocking.
Result<Descriptor> watch(const asio::any_io_executor& executor, Fd fd);

enum class Wait { ready, timed_out, failed };
asio::awaitable<Wait> wait_readable(Descriptor& descriptor, Deadline deadline);
asio::awaitable<Wait> wait_writable(Descriptor& descriptor, Deadline deadline);

// Reads what is there, at least one byte or one packet. 0: the end, a failure, or the deadline.
asio::awaitable<std::size_t> read_some(Descriptor& descriptor, MutableBytes into, Deadline deadline);
// Fills `into`; false when the stream ends, fails or is too slow.
asio::awaitable<bool> read_exactly(Descriptor& descriptor, MutableBytes into, Deadline deadline);
// Writes all of `bytes`, or one packet; false when the descriptor fails or is too slow. `bytes` must outlive the call.
asio::awaitable<bool> write_all(Descriptor& descriptor, ByteView bytes, Deadline deadline);

// Whether the coroutine that asks is to end: an operation that then fails has not failed by itself.
inline bool is_cancelled(const asio::cancellation_state& state) {
  return state.cancelled() != asio::cancellation_type::none;
}
// Waits until it is cancelled, as the branch of an `||` whose other branch decides.
asio::awaitable<void> forever();

// Lets a coroutine run on its own; the event loop owns it and destroys it with itself. What it throws, which is memory
// running out or a bug of ours, comes out of the event loop's run().
void spawn(const asio::any_io_executor& executor, asio::awaitable<void> coroutine);

}  // namespace microagent::aio
