#pragma once

#include <filesystem>

#include "base/result.h"

namespace microagent::image {

// A copy of a file with its holes, mode 0400, whole or not at all.
Status copy_sparse(const std::filesystem::path& from, const std::filesystem::path& to);

}  // namespace microagent::image
