#pragma once

// The programs of others that images are made with.

#include <filesystem>
#include <string>
#include <string_view>
#include <vector>

#include "base/result.h"

namespace microagent::image {

// Where a program lies: in PATH, else where administrators' programs do. Kind not_found, with the Debian package.
Result<std::filesystem::path> find_tool(std::string_view name);

// Runs a program to its end, without standard input, and gives what it wrote to standard output; at most 16 MiB of it.
// The error is the last line of its standard error. It ends with the caller.
Result<std::string> run_tool(std::string_view name, const std::vector<std::string>& arguments);

}  // namespace microagent::image
