#pragma once

// Coroutine input and output of the process that holds the secrets. Waits end with the coroutine that waits: whoever
// sets a limit runs it beside a timer.

#include <boost/asio/steady_timer.hpp>

#include "aio/io.h"

namespace microagent::credentials {

using namespace aio;

using Clock = std::chrono::steady_clock;

inline MutableBytes mutable_bytes(std::span<char> text) {
  return {reinterpret_cast<std::uint8_t*>(text.data()), text.size()};
}

}  // namespace microagent::credentials
