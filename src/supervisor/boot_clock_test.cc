#include "supervisor/boot_clock.h"

#include <gtest/gtest.h>

namespace microagent::supervisor {
namespace {

using Stages = std::vector<workspace::BootStage>;

std::chrono::steady_clock::time_point now;
BootClock make_clock() {
  return BootClock([] { return now; });
}

TEST(BootClock, TellsStagesInTheirOrder) {
  BootClock clock = make_clock();
  now += std::chrono::microseconds(1500);
  clock.mark("first");
  now += std::chrono::milliseconds(2);
  clock.mark("second");
  EXPECT_EQ(clock.stages(), (Stages{{"first", 1500}, {"second", 2000}}));
}

TEST(BootClock, GivesTheMachineWhatTheGuestLeavesOver) {
  BootClock clock = make_clock();
  now += std::chrono::microseconds(100);
  clock.mark_guest({{"kernel", 60}, {"disks", 30}});
  EXPECT_EQ(clock.stages(), (Stages{{"machine", 10}, {"guest: kernel", 60}, {"guest: disks", 30}}));
}

TEST(BootClock, DoesNotBelieveAGuestThatClaimsMoreThanThereWas) {
  for (const std::uint64_t claim : {std::uint64_t{41}, ~std::uint64_t{0}}) {
    BootClock clock = make_clock();
    now += std::chrono::microseconds(100);
    clock.mark_guest({{"kernel", 60}, {"disks", claim}});
    EXPECT_EQ(clock.stages(), (Stages{{"guest", 100}}));
  }
}

}  // namespace
}  // namespace microagent::supervisor
