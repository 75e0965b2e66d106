#include "base/log.h"

#include <unistd.h>

#include <cstdlib>
#include <string>

#include "base/clock.h"

namespace microagent {
namespace {

std::string& log_name() {
  static std::string name = "microagent";
  return name;
}

bool debug_enabled() {
  static const bool enabled = std::getenv("MICROAGENT_DEBUG") != nullptr;
  return enabled;
}

std::string_view level_word(LogLevel level) {
  switch (level) {
    case LogLevel::debug: return "debug";
    case LogLevel::info: return "info";
    case LogLevel::warning: return "warning";
    case LogLevel::error: return "error";
  }
  return "info";
}

}  // namespace

void set_log_name(std::string_view name) {
  log_name() = name;
  (void)debug_enabled();  // read the environment before any sandbox closes
}

void log_line(LogLevel level, std::string_view message) {
  if (level == LogLevel::debug && !debug_enabled()) return;
  const std::string line = fmt::format("{} {} {}: {}\n", utc_timestamp(), log_name(), level_word(level), message);
  // Nothing can be done about a log that cannot be written; the caller's work must go on.
  [[maybe_unused]] const auto written = ::write(STDERR_FILENO, line.data(), line.size());
}

}  // namespace microagent
