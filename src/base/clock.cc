#include "base/clock.h"

#include <fmt/format.h>

#include <ctime>

namespace microagent {

std::uint64_t monotonic_ns() {
  timespec now{};
  clock_gettime(CLOCK_MONOTONIC, &now);
  return static_cast<std::uint64_t>(now.tv_sec) * 1'000'000'000U + static_cast<std::uint64_t>(now.tv_nsec);
}

// A busy writer asks many times a second: the seconds are put into words once.
std::string utc_timestamp() {
  static thread_local std::time_t last = -1;
  static thread_local std::string seconds;
  timespec now{};
  clock_gettime(CLOCK_REALTIME, &now);
  if (now.tv_sec != last) {
    std::tm utc{};
    gmtime_r(&now.tv_sec, &utc);
    seconds = fmt::format("{:04}-{:02}-{:02}T{:02}:{:02}:{:02}.", utc.tm_year + 1900, utc.tm_mon + 1, utc.tm_mday,
                          utc.tm_hour, utc.tm_min, utc.tm_sec);
    last = now.tv_sec;
  }
  std::string text = seconds + "000000000Z";
  std::size_t at = text.size() - 1;
  for (long left = now.tv_nsec; left > 0; left /= 10) text[--at] = static_cast<char>('0' + left % 10);
  return text;
}

}  // namespace microagent
