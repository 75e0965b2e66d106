#pragma once

#include <boost/asio/co_spawn.hpp>
#include <exception>

#include "mediator/io.h"

namespace microagent::mediator {

// Lets a coroutine run on its own; the event loop owns it and destroys it with itself. What it throws, which is memory
// running out or a bug of ours, comes out of the event loop's run() and ends the process: that closes the wire.
inline void spawn(const asio::any_io_executor& executor, asio::awaitable<void> coroutine) {
  asio::co_spawn(executor, std::move(coroutine), [](const std::exception_ptr& thrown) {
    if (thrown) std::rethrow_exception(thrown);
  });
}

}  // namespace microagent::mediator
