#pragma once

#include <filesystem>

#include "base/result.h"

namespace microagent::supervisor {

// The directory of the running program: our programs lie beside each other.
Result<std::filesystem::path> find_program_directory();

// One of our programs in it.
Result<std::filesystem::path> find_program(const std::filesystem::path& directory, const char* name);

}  // namespace microagent::supervisor
