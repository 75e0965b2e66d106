#pragma once

// The files of certificates that a workspace trusts beside what its host does.

#include <filesystem>
#include <string>

#include "base/result.h"

namespace microagent::supervisor {

inline constexpr std::size_t kMaxTrustFile = 1024 * 1024;

// Its text, once every certificate in it has been read. Kind usage; the message names the file, and the line of what is
// wrong in it.
Result<std::string> read_trust_file(const std::filesystem::path& file);

}  // namespace microagent::supervisor
