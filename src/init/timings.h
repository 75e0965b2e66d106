#pragma once

#include <cstdint>
#include <vector>

#include "wire/guest_config.h"

namespace microagent::init {

// How long the stages of the boot take, by the kernel's clock, which began with the kernel.
class Timings {
 public:
  Timings();
  void mark(const char* stage);  // it is over
  const std::vector<wire::BootStage>& stages() const { return stages_; }

 private:
  std::uint64_t last_us_ = 0;
  std::vector<wire::BootStage> stages_;
};

}  // namespace microagent::init
