#pragma once

#include <filesystem>
#include <string>
#include <string_view>

#include "base/result.h"

namespace microagent::image {

// Lower-case hexadecimal SHA-256.
std::string sha256(std::string_view bytes);
Result<std::string> sha256_of_file(const std::filesystem::path& file);

}  // namespace microagent::image
