#pragma once

#include <chrono>

namespace microagent::init {

// How the time that a guest is given for its end is shared out: when each phase is over, counted from the request. What
// is left behind the last one is for the disks.
struct EndPlan {
  std::chrono::milliseconds stop;  // the workload has had the signal that its image wants, alone
  std::chrono::milliseconds term;  // everything has had SIGTERM
  std::chrono::milliseconds kill;  // everything has had SIGKILL
  std::chrono::milliseconds host;  // the host has heard of all that
};

EndPlan plan_end(std::chrono::milliseconds patience);

}  // namespace microagent::init
