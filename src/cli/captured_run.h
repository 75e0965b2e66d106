#pragma once

#include <chrono>
#include <filesystem>
#include <string>
#include <vector>

#include "base/result.h"

namespace microagent::cli {

// Runs a program to its end and gives what it wrote to standard output and error, at most 1 MiB. It is killed at the
// deadline. A program that ends with another code than 0 is an error with its last words.
Result<std::string> run_captured(const std::filesystem::path& program, const std::vector<std::string>& arguments,
                                 std::chrono::milliseconds deadline);

}  // namespace microagent::cli
