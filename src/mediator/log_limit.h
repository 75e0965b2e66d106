#pragma once

#include <chrono>
#include <cstdint>
#include <string_view>

#include "base/log.h"

namespace microagent::mediator {

// For warnings that a guest can provoke as often as it likes: at most one line a second, which counts the ones left
// out.
class LogLimit {
 public:
  void warn(std::string_view message) {
    const auto now = std::chrono::steady_clock::now();
    if (now < next_) {
      ++left_out_;
      return;
    }
    if (left_out_ == 0) {
      log_warning("{}", message);
    } else {
      log_warning("{} ({} such lines left out)", message, left_out_);
    }
    left_out_ = 0;
    next_ = now + std::chrono::seconds(1);
  }

 private:
  std::chrono::steady_clock::time_point next_{};
  std::uint64_t left_out_ = 0;
};

}  // namespace microagent::mediator
