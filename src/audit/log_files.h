#pragma once

// The files that one log is kept in: <log> itself, which grows; <log>.1, <log>.2, ... which rotation left, the highest
// number the youngest; <log>.next, which becomes <log> in a rotation; <log>.head, how far the chain has come; and
// <log>.torn, lines whose writer died.

#include <cstdint>
#include <filesystem>
#include <vector>

#include "base/fd.h"
#include "base/result.h"

namespace microagent::audit {

std::filesystem::path rotated_file(const std::filesystem::path& log, std::uint64_t number);
std::filesystem::path next_file(const std::filesystem::path& log);
std::filesystem::path head_file(const std::filesystem::path& log);
std::filesystem::path torn_file(const std::filesystem::path& log);

// The numbers of the rotated files, in order.
Result<std::vector<std::uint64_t>> rotated_numbers(const std::filesystem::path& log);

// Rotated files and log, the oldest first. The log is last, whether it is there or not; where a rotation died before
// the new file had its name, that file is the log.
Result<std::vector<std::filesystem::path>> log_files(const std::filesystem::path& log);

// Opens or makes a file that is regular, this user's and 0600; follows no link.
Result<Fd> open_private(const std::filesystem::path& file, int flags);

// Writes all of it. On failure `written` says how much is in the file nevertheless.
Status write_all(const Fd& file, std::string_view bytes, const std::filesystem::path& name, std::size_t& written);

}  // namespace microagent::audit
