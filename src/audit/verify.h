#pragma once

#include <cstdint>
#include <filesystem>

#include "base/result.h"

namespace microagent::audit {

struct Verified {
  std::uint64_t records = 0;
  std::uint64_t first_seq = 0, last_seq = 0;  // those before the first were dropped by rotation, as the log says
  std::uint64_t torn_bytes = 0;               // a last line whose writer died; the next start moves it aside
};

// Follows the chain through every file of the log. An edited, removed, inserted or reordered line, a missing file, and
// a log that ends before its head (head.h) are errors (permanent) that name the place.
Result<Verified> verify(const std::filesystem::path& log);

}  // namespace microagent::audit
