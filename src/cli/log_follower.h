#pragma once

#include <cstdint>
#include <filesystem>
#include <functional>
#include <string_view>

#include "base/fd.h"
#include "base/result.h"
#include "cli/workspace_watch.h"

namespace microagent::cli {

// Takes a part of a log. An error ends the reading.
using LogSink = std::function<Status(std::string_view)>;

// The older part that rotation left, <path>.1, and the log itself; nothing when there is none yet.
Status read_log(const std::filesystem::path& path, const LogSink& sink);

// The log as it is and as it grows, through rotations, until nobody writes any more.
Status follow_log(const std::filesystem::path& path, const LogSink& sink, GrowthWatch& watch);

// Makes lines of what comes in parts: without their ends, and the last one also without having one.
class LineSplitter {
 public:
  using LineSink = std::function<Status(std::string_view)>;
  explicit LineSplitter(LineSink sink) : sink_(std::move(sink)) {}

  Status operator()(std::string_view part);
  Status finish();

 private:
  LineSink sink_;
  std::string pending_;
};

// Lets through what comes behind the first `lines` lines.
class LineSkipper {
 public:
  explicit LineSkipper(std::uint64_t lines) : left_(lines) {}
  // What of a part is let through.
  std::string_view operator()(std::string_view part);

 private:
  std::uint64_t left_;
};

// How many lines come before the last `wanted` ones of a log; a last one without an end counts.
Result<std::uint64_t> lines_before_last(const std::filesystem::path& path, std::uint64_t wanted);

}  // namespace microagent::cli
