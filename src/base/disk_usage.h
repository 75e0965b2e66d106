#pragma once

#include <cstdint>
#include <filesystem>

namespace microagent {

// The room on its disk that removing a directory and all below it would free, in bytes: blocks, not sizes, and nothing
// for a file that has another name somewhere. What vanishes meanwhile takes nothing.
std::uint64_t disk_usage(const std::filesystem::path& directory);

}  // namespace microagent
