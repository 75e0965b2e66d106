#pragma once

#include <chrono>
#include <string>
#include <vector>

#include "workspace/state.h"

namespace microagent::supervisor {

// How long the stages of a start take, from the supervisor's beginning on.
class BootClock {
 public:
  using Now = std::chrono::steady_clock::time_point (*)();
  explicit BootClock(Now now = std::chrono::steady_clock::now) : now_(now), last_(now()) {}

  void mark(std::string stage);  // it is over
  // The stage that is over was the guest's boot, of which the guest tells the parts. What it leaves over is the
  // machine's, before the kernel's clock begins and behind the guest's last word. A guest that claims more than there
  // was is not believed.
  void mark_guest(const std::vector<workspace::BootStage>& parts);

  const std::vector<workspace::BootStage>& stages() const { return stages_; }

 private:
  std::uint64_t take_elapsed();

  Now now_;
  std::chrono::steady_clock::time_point last_;
  std::vector<workspace::BootStage> stages_;
};

}  // namespace microagent::supervisor
