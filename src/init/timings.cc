#include "init/timings.h"

#include <time.h>

namespace microagent::init {
namespace {

std::uint64_t since_boot_us() {
  timespec now{};
  ::clock_gettime(CLOCK_BOOTTIME, &now);
  return static_cast<std::uint64_t>(now.tv_sec) * 1'000'000 + static_cast<std::uint64_t>(now.tv_nsec) / 1000;
}

}  // namespace

Timings::Timings() { mark("kernel"); }

void Timings::mark(const char* stage) {
  const std::uint64_t now = since_boot_us();
  stages_.push_back({stage, static_cast<std::uint32_t>(now - last_us_)});
  last_us_ = now;
}

}  // namespace microagent::init
