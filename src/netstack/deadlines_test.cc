#include "netstack/deadlines.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <deque>
#include <map>
#include <random>

namespace microagent::netstack {
namespace {

struct DeadlinesTest : ::testing::Test {
  std::vector<std::uint64_t> run(std::uint64_t now) {
    std::vector<std::uint64_t> expired;
    deadlines.run(now, [&](std::uint64_t token) { expired.push_back(token); });
    return expired;
  }

  Deadlines deadlines;
  Timer a, b, c;
};

using Tokens = std::vector<std::uint64_t>;

TEST_F(DeadlinesTest, NothingIsDueWhenNothingIsSet) {
  EXPECT_EQ(deadlines.next(), std::nullopt);
  EXPECT_EQ(run(kNever - 1), Tokens{});
}

TEST_F(DeadlinesTest, ExpireInTheirOrderAndOnce) {
  deadlines.set(a, 1, 300);
  deadlines.set(b, 2, 100);
  deadlines.set(c, 3, 200);
  EXPECT_EQ(deadlines.next(), 100U);
  EXPECT_EQ(run(99), Tokens{});
  EXPECT_EQ(run(250), (Tokens{2, 3}));
  EXPECT_EQ(run(1000), Tokens{1});
  EXPECT_EQ(run(1000), Tokens{});
  EXPECT_EQ(deadlines.next(), std::nullopt);
}

TEST_F(DeadlinesTest, ADeadlineThatMovesBackIsPutOff) {
  deadlines.set(a, 1, 100);
  deadlines.set(a, 1, 500);
  EXPECT_EQ(run(100), Tokens{});
  EXPECT_EQ(deadlines.next(), 500U);
  EXPECT_EQ(run(500), Tokens{1});
}

TEST_F(DeadlinesTest, ADeadlineThatMovesForwardIsEarlier) {
  deadlines.set(a, 1, 500);
  deadlines.set(b, 2, 300);
  deadlines.set(a, 1, 100);
  EXPECT_EQ(deadlines.next(), 100U);
  EXPECT_EQ(run(400), (Tokens{1, 2}));
}

TEST_F(DeadlinesTest, NeverTakesADeadlineBack) {
  deadlines.set(a, 1, 100);
  deadlines.set(a, 1, kNever);
  EXPECT_EQ(run(200), Tokens{});
  EXPECT_EQ(deadlines.next(), std::nullopt);
  deadlines.set(a, 1, 300);
  EXPECT_EQ(run(300), Tokens{1});
}

TEST_F(DeadlinesTest, ACancelledTimerLeavesNoEntry) {
  deadlines.set(a, 1, 100);
  deadlines.set(b, 2, 50);
  deadlines.cancel(b);
  EXPECT_EQ(deadlines.size(), 1U);
  deadlines.cancel(a);
  EXPECT_EQ(deadlines.size(), 0U);
  EXPECT_EQ(run(1000), Tokens{});
}

TEST_F(DeadlinesTest, ATimerMaySetItselfAgainWhileItExpires) {
  Tokens expired;
  deadlines.set(a, 1, 100);
  deadlines.run(100, [&](std::uint64_t token) {
    expired.push_back(token);
    deadlines.set(a, 1, 150);
  });
  EXPECT_EQ(expired, Tokens{1});
  EXPECT_EQ(deadlines.next(), 150U);
}

// A busy flow sets its retransmission timer far before its idle one, again and again.
TEST_F(DeadlinesTest, AFlowNeverHasMoreThanOneEntry) {
  for (std::uint64_t now = 0; now < 1000; ++now) {
    deadlines.set(a, 1, now + 2);
    deadlines.set(a, 1, 1'000'000);
    run(now);
    ASSERT_EQ(deadlines.size(), 1U);
  }
}

TEST_F(DeadlinesTest, AgreeWithASimpleModel) {
  std::mt19937 random(1);
  std::deque<Timer> timers(50);
  std::map<std::uint64_t, std::uint64_t> model;  // due by token
  for (std::uint64_t now = 0; now < 20'000; ++now) {
    const std::uint64_t token = random() % timers.size();
    switch (random() % 4) {
      case 0:
        deadlines.cancel(timers[token]);
        model.erase(token);
        break;
      default: {
        const std::uint64_t due = now + 1 + random() % 100;
        deadlines.set(timers[token], token, due);
        model[token] = due;
      }
    }
    Tokens expected;
    for (const auto& [each, due] : model) {
      if (due <= now) expected.push_back(each);
    }
    for (const std::uint64_t gone : expected) model.erase(gone);
    Tokens expired = run(now);
    std::ranges::sort(expired);
    ASSERT_EQ(expired, expected) << now;
    ASSERT_GE(deadlines.next().value_or(kNever), now);
  }
}

}  // namespace
}  // namespace microagent::netstack
