#include "vm/tsc_meter.h"

#include <x86intrin.h>

#include <limits>

namespace microagent::vm {

TscMeter::TscMeter() : start_(take_sample()) {}

// Both clocks at one moment. The moment is as long as reading takes, so the shortest of a few readings counts: the
// others were interrupted.
TscMeter::Sample TscMeter::take_sample() {
  constexpr int kReadings = 8;
  Sample best;
  std::uint64_t shortest = std::numeric_limits<std::uint64_t>::max();
  for (int i = 0; i < kReadings; ++i) {
    const std::uint64_t before = __rdtsc();
    const auto time = std::chrono::steady_clock::now();
    const std::uint64_t duration = __rdtsc() - before;
    if (duration >= shortest) continue;
    shortest = duration;
    best = {before + duration / 2, time};
  }
  return best;
}

std::chrono::nanoseconds TscMeter::elapsed() const { return std::chrono::steady_clock::now() - start_.time; }

std::uint32_t TscMeter::khz() const {
  const Sample end = take_sample();
  const std::chrono::duration<double, std::milli> time = end.time - start_.time;
  return static_cast<std::uint32_t>(static_cast<double>(end.ticks - start_.ticks) / time.count() + 0.5);
}

}  // namespace microagent::vm
