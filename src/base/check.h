#pragma once

namespace microagent {

// Ends the process: a broken invariant of our own must close the wire, never let traffic through.
[[noreturn]] void check_failed(const char* condition, const char* file, int line) noexcept;

}  // namespace microagent

// The third tier of failure: our own bug. Active in release builds too.
#define MICROAGENT_CHECK(condition)                               \
  do {                                                            \
    if (!(condition)) [[unlikely]]                                \
      ::microagent::check_failed(#condition, __FILE__, __LINE__); \
  } while (false)
