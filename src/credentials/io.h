#pragma once

// Coroutine input and output of the process that holds the secrets. Waits end with the coroutine that waits: whoever
// sets a limit runs it beside a timer.

#include <boost/asio/as_tuple.hpp>
#include <boost/asio/awaitable.hpp>
#include <boost/asio/posix/stream_descriptor.hpp>
#include <boost/asio/steady_timer.hpp>
#include <boost/asio/use_awaitable.hpp>
#include <chrono>

#include "base/bytes.h"
#include "base/fd.h"
#include "base/result.h"

namespace microagent::credentials {

namespace asio = boost::asio;

using Descriptor = asio::posix::stream_descriptor;
using Clock = std::chrono::steady_clock;

inline constexpr auto kAsTuple = asio::as_tuple(asio::use_awaitable);

// Puts a descriptor under the event loop's care, nonblocking.
Result<Descriptor> watch(const asio::any_io_executor& executor, Fd fd);

// False when the descriptor failed.
asio::awaitable<bool> wait_for(Descriptor& descriptor, Descriptor::wait_type what);

// Reads what is there, at least one byte or one packet. 0: the end, or a failure.
asio::awaitable<std::size_t> read_some(Descriptor& descriptor, MutableBytes into);
// Sends one packet, or all of a stream's bytes.
asio::awaitable<bool> send_all(Descriptor& descriptor, ByteView bytes);

inline ByteView as_bytes(std::string_view text) {
  return {reinterpret_cast<const std::uint8_t*>(text.data()), text.size()};
}
inline MutableBytes as_bytes(std::span<char> text) {
  return {reinterpret_cast<std::uint8_t*>(text.data()), text.size()};
}

}  // namespace microagent::credentials
