#include "supervisor/process_usage.h"

#include <fmt/format.h>
#include <unistd.h>

#include <charconv>
#include <fstream>
#include <sstream>
#include <string>

namespace microagent::supervisor {
namespace {

constexpr int kUserTime = 14, kSystemTime = 15;  // fields of stat, counted from 1
constexpr int kFirstBehindName = 3;
constexpr std::uint64_t kKiB = 1024;

std::optional<std::uint64_t> parse_number(std::string_view text) {
  std::uint64_t value = 0;
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), value);
  if (error != std::errc() || end == text.data()) return std::nullopt;
  return value;
}

// The value of "key:   123 kB"; 0 where the kernel tells none.
std::uint64_t kib_of(std::string_view status, std::string_view key) {
  const std::size_t start = status.find(key);
  if (start == std::string_view::npos) return 0;
  status.remove_prefix(start + key.size());
  status.remove_prefix(std::min(status.find_first_not_of(" \t"), status.size()));
  return parse_number(status).value_or(0);
}

std::string read_all(const std::string& path) {
  std::ostringstream text;
  text << std::ifstream(path).rdbuf();
  return text.str();
}

}  // namespace

std::optional<ProcessUsage> parse_process_usage(std::string_view stat, std::string_view status,
                                                std::uint64_t ticks_per_second) {
  // The name in parentheses may hold anything, so what counts stands behind the last one.
  const std::size_t name_end = stat.rfind(')');
  if (name_end == std::string_view::npos || ticks_per_second == 0) return std::nullopt;
  std::istringstream fields{std::string(stat.substr(name_end + 1))};
  std::string field;
  std::uint64_t ticks = 0;
  for (int number = kFirstBehindName; number <= kSystemTime; ++number) {
    if (!(fields >> field)) return std::nullopt;
    if (number < kUserTime) continue;
    const auto value = parse_number(field);
    if (!value) return std::nullopt;
    ticks += *value;
  }
  return ProcessUsage{static_cast<double>(ticks) / static_cast<double>(ticks_per_second),
                      kib_of(status, "VmRSS:") * kKiB, kib_of(status, "RssShmem:") * kKiB};
}

std::optional<ProcessUsage> read_process_usage(pid_t pid) {
  const std::string directory = fmt::format("/proc/{}/", pid);
  return parse_process_usage(read_all(directory + "stat"), read_all(directory + "status"),
                             static_cast<std::uint64_t>(::sysconf(_SC_CLK_TCK)));
}

}  // namespace microagent::supervisor
