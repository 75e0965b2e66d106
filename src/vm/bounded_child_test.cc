#include "vm/bounded_child.h"

#include <gtest/gtest.h>
#include <signal.h>
#include <unistd.h>

namespace microagent::vm {
namespace {

using std::chrono::milliseconds;

TEST(RunBounded, ReturnsWhatTheChildReturned) {
  const auto result = run_bounded(milliseconds(5000), [] { return 42; });
  ASSERT_TRUE(result);
  EXPECT_EQ(*result, 42);
}

TEST(RunBounded, EndsAChildThatHangs) {
  const auto before = std::chrono::steady_clock::now();
  const auto result = run_bounded(milliseconds(50), [] {
    for (;;) ::pause();
    return 0;
  });
  ASSERT_TRUE(result);
  EXPECT_EQ(*result, std::nullopt);
  EXPECT_LT(std::chrono::steady_clock::now() - before, std::chrono::seconds(5));
}

TEST(RunBounded, SurvivesAChildThatCrashes) {
  const auto result = run_bounded(milliseconds(5000), [] { return ::raise(SIGKILL); });
  ASSERT_TRUE(result);
  EXPECT_EQ(*result, std::nullopt);
}

}  // namespace
}  // namespace microagent::vm
