#include "supervisor/boot_clock.h"

#include <utility>

namespace microagent::supervisor {

std::uint64_t BootClock::take_elapsed() {
  const auto now = now_();
  return static_cast<std::uint64_t>(
      std::chrono::duration_cast<std::chrono::microseconds>(now - std::exchange(last_, now)).count());
}

void BootClock::mark(std::string stage) { stages_.push_back({std::move(stage), take_elapsed()}); }

void BootClock::mark_guest(const std::vector<workspace::BootStage>& parts) {
  const std::uint64_t whole = take_elapsed();
  std::uint64_t left = whole;
  for (const workspace::BootStage& part : parts) {
    if (part.microseconds > left) {
      stages_.push_back({"guest", whole});
      return;
    }
    left -= part.microseconds;
  }
  stages_.push_back({"machine", left});
  for (const workspace::BootStage& part : parts) stages_.push_back({"guest: " + part.name, part.microseconds});
}

}  // namespace microagent::supervisor
