#pragma once

// Coroutine input and output on nonblocking descriptors. Every wait has a deadline; errors are values, never
// exceptions.

#include <boost/asio/awaitable.hpp>
#include <boost/asio/cancellation_state.hpp>
#include <boost/asio/posix/stream_descriptor.hpp>
#include <chrono>

#include "base/bytes.h"
#include "base/fd.h"
#include "base/result.h"

namespace microagent::mediator {

namespace asio = boost::asio;

using Descriptor = asio::posix::stream_descriptor;
using Deadline = std::chrono::steady_clock::time_point;

inline Deadline in(std::chrono::milliseconds duration) { return std::chrono::steady_clock::now() + duration; }
inline constexpr Deadline kNever = Deadline::max();

// A coroutine of which another, beside it, was faster: what it waited for has not failed.
inline bool is_cancelled(const asio::cancellation_state& state) {
  return state.cancelled() != asio::cancellation_type::none;
}

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

}  // namespace microagent::mediator
