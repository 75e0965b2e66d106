#pragma once

#include <filesystem>

#include "base/result.h"

namespace microagent::vm {

// The QEMU to run: MICROAGENT_QEMU (a path, or a name to look up), else qemu-system-x86_64 in PATH.
Result<std::filesystem::path> find_qemu();

// The same with the two variables' values; null where unset.
Result<std::filesystem::path> find_qemu(const char* chosen, const char* search_path);

}  // namespace microagent::vm
