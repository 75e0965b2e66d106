#pragma once

#include <chrono>
#include <cstdint>

namespace microagent::vm {

// Measures the rate of the processor's time stamp counter, from its construction on. Under TCG the guest's counter is
// the host's, and a guest that is not told the rate calibrates it against an emulated timer: on a busy host that fails,
// and a Linux guest on a machine without another clock then waits for ever.
class TscMeter {
 public:
  // From here on the result is exact to about 10 parts in a million.
  static constexpr std::chrono::milliseconds kEnough{10};

  TscMeter();

  std::chrono::nanoseconds elapsed() const;
  // Of the time since construction, which must not be zero.
  std::uint32_t khz() const;

 private:
  struct Sample {
    std::uint64_t ticks = 0;
    std::chrono::steady_clock::time_point time;
  };
  static Sample take_sample();

  Sample start_;
};

}  // namespace microagent::vm
