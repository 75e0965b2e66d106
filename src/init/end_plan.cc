#include "init/end_plan.h"

#include <algorithm>

namespace microagent::init {

using std::chrono::milliseconds;

// From the end backwards: what comes last takes a share of a short time, and no more than it can use of a long one.
EndPlan plan_end(milliseconds patience) {
  constexpr milliseconds kDisks{5'000}, kHost{1'000}, kKill{2'000}, kTerm{5'000};
  EndPlan plan{};
  plan.host = patience - std::min(patience / 5, kDisks);
  plan.kill = plan.host - std::min(patience / 20, kHost);
  plan.term = plan.kill - std::min(patience / 10, kKill);
  plan.stop = plan.term - std::min(patience / 10, kTerm);
  return plan;
}

}  // namespace microagent::init
