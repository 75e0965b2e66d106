#include "init/end_plan.h"

#include <gtest/gtest.h>

namespace microagent::init {
namespace {

using std::chrono::milliseconds;

TEST(EndPlan, LeavesTimeForWhatComesNext) {
  for (const int seconds : {1, 2, 10, 60, 3600}) {
    const milliseconds patience = std::chrono::seconds(seconds);
    const EndPlan plan = plan_end(patience);
    EXPECT_GE(plan.stop, patience / 2) << seconds << ": most of it is the workload's";
    EXPECT_LT(plan.stop, plan.term);
    EXPECT_LT(plan.term, plan.kill);
    EXPECT_LT(plan.kill, plan.host);
    EXPECT_LE(plan.host, patience - std::min(patience / 5, milliseconds(5'000))) << "the disks";
  }
}

TEST(EndPlan, GivesALongTimeToTheWorkload) {
  EXPECT_GE(plan_end(milliseconds(300'000)).stop, milliseconds(285'000));
  EXPECT_GE(plan_end(milliseconds(10'000)).term, milliseconds(6'000));
}

TEST(EndPlan, OfNoTimeIsNone) {
  const EndPlan plan = plan_end(milliseconds(0));
  EXPECT_EQ(plan.stop.count(), 0);
  EXPECT_EQ(plan.host.count(), 0);
}

}  // namespace
}  // namespace microagent::init
