#pragma once

#include <cstdint>
#include <functional>
#include <string_view>

#include "base/result.h"

namespace microagent::audit {

// The longest line a log may have; a longer one is not ours.
inline constexpr std::size_t kMaxLine = 64 * 1024;

struct LineTotals {
  std::uint64_t lines = 0;
  std::uint64_t whole_bytes = 0;  // of all lines that end in a newline
  std::uint64_t torn_bytes = 0;   // behind the last newline: a line whose writer died
};

// Reads the file from its beginning and calls `on_line(number, line)` for each whole line (numbers from 1, newline left
// out) until it fails or the file ends. `name` stands in errors.
Result<LineTotals> for_each_line(int fd, std::string_view name,
                                 const std::function<Status(std::uint64_t, std::string_view)>& on_line);

}  // namespace microagent::audit
