#include "supervisor/ending.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <signal.h>

#include <vector>

namespace microagent::supervisor {
namespace {

using testing::HasSubstr;
using workspace::State;

constexpr ChildEnd kClean{0, 0}, kFailed{1, 0}, kKilled{0, SIGKILL};

Machine::Shutdown by_guest(const char* reason) { return {.panicked = false, .by_guest = true, .reason = reason}; }

TEST(JudgeMachineEnd, TellsAGuestsWishFromItsCrash) {
  EXPECT_EQ(judge_machine_end(kClean, by_guest("guest-shutdown"), "", "qemu exited").state, State::stopped);

  const Ending restarted = judge_machine_end(kClean, by_guest("guest-reset"), "Rebooting.", "qemu exited");
  EXPECT_EQ(restarted.state, State::failed);
  EXPECT_THAT(restarted.detail, HasSubstr("restarted"));

  const Ending panicked =
      judge_machine_end(kClean, by_guest("guest-reset"), "---[ end Kernel panic - not syncing ]---", "qemu exited");
  EXPECT_EQ(panicked.state, State::failed);
  EXPECT_THAT(panicked.detail, HasSubstr("panicked"));

  Machine::Shutdown told = by_guest("guest-shutdown");
  told.panicked = true;
  EXPECT_EQ(judge_machine_end(kClean, told, "", "qemu exited").state, State::failed);
}

TEST(JudgeMachineEnd, BlamesQemuForEverythingElse) {
  for (const ChildEnd& end : {kClean, kFailed, kKilled}) {
    const Ending ending = judge_machine_end(end, std::nullopt, "", "its obituary");
    EXPECT_EQ(ending.state, State::failed);
    EXPECT_EQ(ending.detail, "its obituary");
  }
  EXPECT_EQ(judge_machine_end(kKilled, by_guest("guest-shutdown"), "", "its obituary").state, State::failed);
}

TEST(FindCulprit, TakesTheWorstEnd) {
  using Ends = std::vector<std::optional<ChildEnd>>;
  EXPECT_EQ(find_culprit(Ends{std::nullopt, std::nullopt}), std::nullopt);
  EXPECT_EQ(find_culprit(Ends{std::nullopt, kClean}), 1U);
  EXPECT_EQ(find_culprit(Ends{kClean, kFailed, std::nullopt}), 1U);
  EXPECT_EQ(find_culprit(Ends{kClean, kFailed, kKilled}), 2U);
  EXPECT_EQ(find_culprit(Ends{kKilled, kFailed, kKilled}), 0U);
}

}  // namespace
}  // namespace microagent::supervisor
