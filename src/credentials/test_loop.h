#pragma once

#include <boost/asio/co_spawn.hpp>
#include <boost/asio/io_context.hpp>
#include <exception>
#include <optional>

#include "base/check.h"
#include "credentials/io.h"

namespace microagent::credentials {

// Runs the loop until a coroutine has ended, and gives what it returned.
template <typename T>
T run(asio::io_context& io, asio::awaitable<T> coroutine) {
  std::optional<T> result;
  asio::co_spawn(io, std::move(coroutine), [&](const std::exception_ptr& thrown, T value) {
    if (thrown) std::rethrow_exception(thrown);
    result.emplace(std::move(value));
  });
  const auto limit = Clock::now() + std::chrono::seconds(30);
  io.restart();
  while (!result && Clock::now() < limit) io.run_one_for(std::chrono::milliseconds(100));
  MICROAGENT_CHECK(result.has_value());
  return std::move(*result);
}

}  // namespace microagent::credentials
