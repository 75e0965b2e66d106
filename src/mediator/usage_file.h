#pragma once

// What the caps of a workspace have been charged, kept across restarts: {"version":1,"bytes":{KEY:N}}, KEY being
// "workspace" or "rule " and the text of a rule.

#include <cstdint>
#include <filesystem>
#include <map>
#include <string>

#include "base/result.h"

namespace microagent::mediator {

using ChargedBytes = std::map<std::string, std::uint64_t>;

// Empty when there is no file yet. A file that is not ours is an error that names it.
Result<ChargedBytes> read_usage(const std::filesystem::path& file);
// Replaces the file whole or not at all, 0600.
Status write_usage(const std::filesystem::path& file, const ChargedBytes& charged);

}  // namespace microagent::mediator
