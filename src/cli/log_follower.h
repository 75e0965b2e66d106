#pragma once

#include <filesystem>
#include <functional>

#include "base/fd.h"
#include "base/result.h"

namespace microagent::cli {

// Takes a part of a log. An error ends the reading.
using LogSink = std::function<Status(std::string_view)>;

// The older part that rotation left, <path>.1, and the log itself; nothing when there is none yet.
Status read_log(const std::filesystem::path& path, const LogSink& sink);

// The log as it is and as it grows, through rotations, until `ended` says that nobody writes any more.
Status follow_log(const std::filesystem::path& path, const LogSink& sink, const std::function<Result<bool>()>& ended);

}  // namespace microagent::cli
