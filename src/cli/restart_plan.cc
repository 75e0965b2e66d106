#include "cli/restart_plan.h"

#include <algorithm>
#include <utility>

namespace microagent::cli {

NextLife RestartPlan::next(const workspace::Restart& restart, const LifeEnd& end, std::chrono::seconds age) {
  using Policy = workspace::Restart::Policy;
  if (end.kind == LifeEnd::Kind::asked || end.kind == LifeEnd::Kind::quarantined) return {};
  if (restart.policy == Policy::never) return {};
  if (end.kind == LifeEnd::Kind::done && restart.policy == Policy::on_failure) return {};
  if (age >= kSettled) {
    number_ = 0;
    pause_ = kFirstPause;
  }
  if (restart.max != 0 && number_ >= restart.max) return {};
  const auto pause = std::exchange(pause_, std::min(2 * pause_, kLongestPause));
  return {true, pause, ++number_};
}

}  // namespace microagent::cli
