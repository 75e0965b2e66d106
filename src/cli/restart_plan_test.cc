#include "cli/restart_plan.h"

#include <gtest/gtest.h>

namespace microagent::cli {
namespace {

using std::chrono::seconds;
using workspace::Restart;
using Kind = LifeEnd::Kind;

constexpr Restart kNever{}, kAlways{Restart::Policy::always}, kOnFailure{Restart::Policy::on_failure};

TEST(RestartPlan, FollowsThePolicy) {
  EXPECT_FALSE(RestartPlan().next(kNever, {Kind::failed, ""}, seconds(1)).wanted);
  EXPECT_FALSE(RestartPlan().next(kNever, {Kind::done, ""}, seconds(1)).wanted);
  EXPECT_TRUE(RestartPlan().next(kOnFailure, {Kind::failed, ""}, seconds(1)).wanted);
  EXPECT_FALSE(RestartPlan().next(kOnFailure, {Kind::done, ""}, seconds(1)).wanted);
  EXPECT_TRUE(RestartPlan().next(kAlways, {Kind::failed, ""}, seconds(1)).wanted);
  EXPECT_TRUE(RestartPlan().next(kAlways, {Kind::done, ""}, seconds(1)).wanted);
  for (const Restart& policy : {kNever, kOnFailure, kAlways}) {
    EXPECT_FALSE(RestartPlan().next(policy, {Kind::asked, ""}, seconds(1)).wanted);
    EXPECT_FALSE(RestartPlan().next(policy, {Kind::quarantined, ""}, seconds(1)).wanted);
  }
}

TEST(RestartPlan, WaitsTwiceAsLongEachTime) {
  RestartPlan plan;
  for (const int pause : {1, 2, 4, 8, 16, 32, 60, 60}) {
    EXPECT_EQ(plan.next(kAlways, {Kind::failed, ""}, seconds(0)).pause, seconds(pause));
  }
}

TEST(RestartPlan, GivesUpAfterTheMost) {
  constexpr Restart kTwice{Restart::Policy::on_failure, 2};
  RestartPlan plan;
  EXPECT_EQ(plan.next(kTwice, {Kind::failed, ""}, seconds(0)).number, 1U);
  EXPECT_EQ(plan.next(kTwice, {Kind::failed, ""}, seconds(0)).number, 2U);
  EXPECT_FALSE(plan.next(kTwice, {Kind::failed, ""}, RestartPlan::kSettled - seconds(1)).wanted);
}

TEST(RestartPlan, ALongLifeBeginsANewCount) {
  constexpr Restart kOnce{Restart::Policy::on_failure, 1};
  RestartPlan plan;
  EXPECT_TRUE(plan.next(kOnce, {Kind::failed, ""}, seconds(0)).wanted);
  const NextLife again = plan.next(kOnce, {Kind::failed, ""}, RestartPlan::kSettled);
  EXPECT_TRUE(again.wanted);
  EXPECT_EQ(again.number, 1U);
  EXPECT_EQ(again.pause, RestartPlan::kFirstPause);
}

}  // namespace
}  // namespace microagent::cli
