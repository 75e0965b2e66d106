#pragma once

#include <fmt/format.h>

#include <string_view>

namespace microagent {

enum class LogLevel { debug, info, warning, error };

// The name that stands in front of every line of this process ("netd", "mediator").
void set_log_name(std::string_view name);

// One line to stderr, with UTC time, process name and level, by a single write(2). Debug lines only with
// MICROAGENT_DEBUG set. Never pass guest bytes through here unescaped or unlimited in rate.
void log_line(LogLevel level, std::string_view message);

template <typename... Args>
void log_info(fmt::format_string<Args...> format, Args&&... args) {
  log_line(LogLevel::info, fmt::format(format, std::forward<Args>(args)...));
}
template <typename... Args>
void log_warning(fmt::format_string<Args...> format, Args&&... args) {
  log_line(LogLevel::warning, fmt::format(format, std::forward<Args>(args)...));
}
template <typename... Args>
void log_error(fmt::format_string<Args...> format, Args&&... args) {
  log_line(LogLevel::error, fmt::format(format, std::forward<Args>(args)...));
}

}  // namespace microagent
