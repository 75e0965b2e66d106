#pragma once

#include <cstdint>
#include <filesystem>

#include "base/result.h"

namespace microagent::audit {

struct Verified {
  std::uint64_t records = 0;
  std::uint64_t torn_bytes = 0;  // a last line whose writer died; the next start moves it aside
};

// Follows the chain from the first record. An edited, removed, inserted or reordered line is an error (permanent) that
// names the line. Records cut off at the end leave a whole chain: compare `records` with what was seen before.
Result<Verified> verify(const std::filesystem::path& log);

}  // namespace microagent::audit
