#include "netstack/budget.h"

#include <gtest/gtest.h>

#include <random>

namespace microagent::netstack {
namespace {

constexpr std::uint64_t kSecond = 1'000'000'000;
constexpr auto kOut = Direction::out;
constexpr auto kIn = Direction::in;
constexpr BudgetId kOwn = 2;

TEST(Budgets, AreUnlimitedUntilTheyAreSet) {
  Budgets budgets;
  EXPECT_EQ(budgets.take(kNoBudget, kOut, 1'000'000, 0), 1'000'000U);
  EXPECT_EQ(budgets.take(kWorkspaceBudget, kOut, 1'000'000, 0), 1'000'000U);
  EXPECT_EQ(budgets.take(900, kIn, 5, 0), 5U);
  EXPECT_FALSE(budgets.spent(kWorkspaceBudget));
  EXPECT_TRUE(budgets.take_whole(kOwn, kOut, 65'535, 0));
}

TEST(Budgets, TakeOnlyTheirOwnNumbers) {
  Budgets budgets;
  EXPECT_FALSE(budgets.set(kNoBudget, {}, 0));
  EXPECT_FALSE(budgets.set(kMaxBudgets, {}, 0));
  EXPECT_TRUE(budgets.set(kMaxBudgets - 1, {}, 0));
}

TEST(Budgets, NeverOverstepTheirCeilingInBothDirectionsTogether) {
  Budgets budgets;
  ASSERT_TRUE(budgets.set(kWorkspaceBudget, {.bytes = 1000, .last = true}, 0));
  EXPECT_EQ(budgets.take(kWorkspaceBudget, kOut, 600, 0), 600U);
  EXPECT_FALSE(budgets.take_whole(kWorkspaceBudget, kIn, 401, 0));
  EXPECT_EQ(budgets.take(kWorkspaceBudget, kIn, 600, 0), 400U);
  EXPECT_TRUE(budgets.spent(kWorkspaceBudget));
  EXPECT_EQ(budgets.take(kWorkspaceBudget, kIn, 1, 0), 0U);
  budgets.give_back(kWorkspaceBudget, kIn, 10);
  EXPECT_FALSE(budgets.spent(kWorkspaceBudget));
  EXPECT_EQ(budgets.take(kWorkspaceBudget, kIn, 600, 0), 10U);
}

TEST(Budgets, ChargeTheWorkspaceToo) {
  Budgets budgets;
  ASSERT_TRUE(budgets.set(kWorkspaceBudget, {.bytes = 1000, .last = true}, 0));
  ASSERT_TRUE(budgets.set(kOwn, {.bytes = 300, .last = true}, 0));
  EXPECT_EQ(budgets.take(kOwn, kOut, 500, 0), 300U);
  EXPECT_TRUE(budgets.spent(kOwn));
  EXPECT_FALSE(budgets.spent(kWorkspaceBudget));
  EXPECT_EQ(budgets.take(kWorkspaceBudget, kOut, 5000, 0), 700U);
  ASSERT_TRUE(budgets.set(kOwn, {}, 0));
  EXPECT_EQ(budgets.take(kOwn, kOut, 1, 0), 0U);
  EXPECT_TRUE(budgets.spent(kOwn));  // by the workspace's end
}

TEST(Budgets, AskForMoreOnceAGrantAndOpenAgainWithIt) {
  Budgets budgets;
  ASSERT_TRUE(budgets.set(kWorkspaceBudget, {.bytes = 1000}, 0));
  EXPECT_EQ(budgets.take(kWorkspaceBudget, kOut, 500, 0), 500U);
  ASSERT_TRUE(budgets.next_report(kSecond));  // the second's
  EXPECT_FALSE(budgets.next_report(kSecond));
  EXPECT_EQ(budgets.take(kWorkspaceBudget, kOut, 250, kSecond), 250U);
  EXPECT_EQ(budgets.reports_at(), 0U);
  const auto report = budgets.next_report(kSecond);
  ASSERT_TRUE(report);
  EXPECT_EQ(report->out, 750U);
  EXPECT_FALSE(budgets.next_report(kSecond));

  EXPECT_EQ(budgets.take(kWorkspaceBudget, kOut, 500, kSecond), 250U);
  EXPECT_EQ(budgets.take(kWorkspaceBudget, kOut, 500, kSecond), 0U);
  EXPECT_FALSE(budgets.spent(kWorkspaceBudget));
  EXPECT_FALSE(budgets.reopened(kSecond));
  ASSERT_TRUE(budgets.set(kWorkspaceBudget, {.bytes = 2000, .last = true}, kSecond));
  EXPECT_TRUE(budgets.reopened(kSecond));
  EXPECT_FALSE(budgets.reopened(kSecond));
  EXPECT_EQ(budgets.take(kWorkspaceBudget, kOut, 5000, kSecond), 1000U);
  EXPECT_TRUE(budgets.spent(kWorkspaceBudget));
}

TEST(Budgets, AreSpentForADatagramThatNeverFits) {
  Budgets budgets;
  ASSERT_TRUE(budgets.set(kWorkspaceBudget, {.bytes = 1000, .last = true}, 0));
  EXPECT_TRUE(budgets.take_whole(kWorkspaceBudget, kOut, 600, 0));
  EXPECT_FALSE(budgets.take_whole(kWorkspaceBudget, kOut, 600, 0));
  EXPECT_TRUE(budgets.spent(kWorkspaceBudget, 600));
  EXPECT_FALSE(budgets.spent(kWorkspaceBudget, 400));
  EXPECT_FALSE(budgets.spent(kWorkspaceBudget));
}

TEST(Budgets, AskForMoreWhenADatagramIsLongerThanTheRest) {
  Budgets budgets;
  ASSERT_TRUE(budgets.set(kWorkspaceBudget, {.bytes = 1000}, 0));
  EXPECT_TRUE(budgets.take_whole(kWorkspaceBudget, kOut, 600, 0));
  ASSERT_TRUE(budgets.next_report(kSecond));
  EXPECT_FALSE(budgets.take_whole(kWorkspaceBudget, kOut, 600, kSecond));
  EXPECT_EQ(budgets.reports_at(), 0U);
  ASSERT_TRUE(budgets.next_report(kSecond));
  EXPECT_FALSE(budgets.next_report(kSecond)) << "it is asked once";
  ASSERT_TRUE(budgets.set(kWorkspaceBudget, {.bytes = 2000}, kSecond));
  EXPECT_TRUE(budgets.reopened(kSecond));
  EXPECT_TRUE(budgets.take_whole(kWorkspaceBudget, kOut, 600, kSecond));
}

TEST(Budgets, LoseNoPartOfAByteToTheClock) {
  Budgets budgets;
  ASSERT_TRUE(budgets.set(kWorkspaceBudget, {.bytes_per_second = 50'000}, 0));
  while (budgets.take_whole(kWorkspaceBudget, kOut, 1000, 0)) continue;  // the bucket, and its debt
  std::uint64_t moved = 0;
  for (std::uint64_t now = 0; now < 10 * kSecond; now += 30'000) {  // one and a half bytes a turn
    if (budgets.take_whole(kWorkspaceBudget, kOut, 1000, now)) moved += 1000;
  }
  EXPECT_GE(moved, 498'000U);
  EXPECT_LE(moved, 501'000U);
}

TEST(Budgets, TellAtOnceThatAllIsSpent) {
  Budgets budgets;
  ASSERT_TRUE(budgets.set(kWorkspaceBudget, {.bytes = 1000, .last = true}, 0));
  budgets.take(kWorkspaceBudget, kOut, 900, kSecond);
  ASSERT_TRUE(budgets.next_report(kSecond));
  budgets.take(kWorkspaceBudget, kOut, 900, kSecond);
  EXPECT_EQ(budgets.reports_at(), 0U);
  const auto report = budgets.next_report(kSecond);
  ASSERT_TRUE(report);
  EXPECT_EQ(report->out, 1000U);
  EXPECT_FALSE(budgets.next_report(kSecond));
  EXPECT_EQ(budgets.reports_at(), std::nullopt);
}

TEST(Budgets, ReportOnceASecondWhileNumbersChange) {
  Budgets budgets;
  EXPECT_EQ(budgets.reports_at(), std::nullopt);
  budgets.take(kWorkspaceBudget, kOut, 10, 5 * kSecond);
  budgets.take(kWorkspaceBudget, kIn, 20, 5 * kSecond);
  const auto first = budgets.next_report(5 * kSecond);
  ASSERT_TRUE(first);
  EXPECT_EQ(first->id, kWorkspaceBudget);
  EXPECT_EQ(first->out, 10U);
  EXPECT_EQ(first->in, 20U);
  EXPECT_EQ(budgets.reports_at(), std::nullopt);
  budgets.take(kWorkspaceBudget, kOut, 1, 5 * kSecond);
  EXPECT_EQ(budgets.reports_at(), 6 * kSecond);
  EXPECT_FALSE(budgets.next_report(6 * kSecond - 1));
  EXPECT_TRUE(budgets.next_report(6 * kSecond));
}

TEST(Budgets, KeepTheRate) {
  Budgets budgets;
  constexpr std::uint64_t kRate = 1'000'000;
  ASSERT_TRUE(budgets.set(kWorkspaceBudget, {.bytes_per_second = kRate}, 0));
  std::uint64_t moved = 0, now = 0;
  int turns = 0;
  while (now < 10 * kSecond && turns < 100'000) {
    ++turns;
    const std::size_t taken = budgets.take(kWorkspaceBudget, turns % 2 == 0 ? kOut : kIn, 65'536, now);
    moved += taken;
    if (taken != 0) continue;
    const auto opens = budgets.reopens_at();
    ASSERT_TRUE(opens);
    ASSERT_GT(*opens, now + kSecond / 100);  // the loop does not wake for crumbs
    ASSERT_LT(*opens, now + kSecond);
    EXPECT_FALSE(budgets.worth_trying(kWorkspaceBudget, now));
    now = *opens;
    ASSERT_TRUE(budgets.reopened(now));
    EXPECT_TRUE(budgets.worth_trying(kWorkspaceBudget, now));
  }
  EXPECT_GE(moved, 10 * kRate - kRate / 10);
  EXPECT_LE(moved, 10 * kRate + kRate / 10 + 8192);
}

TEST(Budgets, LetALongDatagramGoIntoDebt) {
  Budgets budgets;
  ASSERT_TRUE(budgets.set(kWorkspaceBudget, {.bytes_per_second = 10'000}, 0));
  EXPECT_TRUE(budgets.take_whole(kWorkspaceBudget, kOut, 60'000, 0));
  EXPECT_FALSE(budgets.take_whole(kWorkspaceBudget, kOut, 1, 0));
  EXPECT_FALSE(budgets.take_whole(kWorkspaceBudget, kOut, 1, 4 * kSecond));
  EXPECT_TRUE(budgets.take_whole(kWorkspaceBudget, kOut, 1, 5 * kSecond));
}

TEST(Budgets, ForgetNothingWhenTheirLimitChanges) {
  Budgets budgets;
  budgets.take(kWorkspaceBudget, kOut, 500, 0);
  ASSERT_TRUE(budgets.set(kWorkspaceBudget, {.bytes = 600, .last = true}, 0));
  EXPECT_EQ(budgets.take(kWorkspaceBudget, kOut, 500, 0), 100U);
  ASSERT_TRUE(budgets.set(kWorkspaceBudget, {.bytes = 100, .last = true}, 0));
  EXPECT_TRUE(budgets.spent(kWorkspaceBudget));
  EXPECT_EQ(budgets.take(kWorkspaceBudget, kOut, 500, 0), 0U);
}

// Many flows of several budgets in any order: no sum ever passes its ceiling.
TEST(Budgets, HoldUnderAnyOrder) {
  std::mt19937 random(7);
  for (int round = 0; round < 200; ++round) {
    Budgets budgets;
    const std::uint64_t all = random() % 100'000, own = random() % 50'000;
    ASSERT_TRUE(budgets.set(kWorkspaceBudget, {.bytes = all, .bytes_per_second = 1'000'000, .last = true}, 0));
    ASSERT_TRUE(budgets.set(kOwn, {.bytes = own, .last = true}, 0));
    std::uint64_t moved_all = 0, moved_own = 0, now = 0;
    for (int step = 0; step < 500; ++step) {
      now += random() % 1'000'000;
      const BudgetId id = 1 + random() % 3;
      const Direction direction = random() % 2 == 0 ? kOut : kIn;
      const std::size_t wanted = random() % 3000;
      std::size_t taken = wanted;
      if (random() % 2 == 0) {
        taken = budgets.take(id, direction, wanted, now);
      } else if (!budgets.take_whole(id, direction, wanted, now)) {
        taken = 0;
      }
      const std::size_t back = taken == 0 ? 0 : random() % taken;
      budgets.give_back(id, direction, back);
      moved_all += taken - back;
      if (id == kOwn) moved_own += taken - back;
      ASSERT_LE(moved_all, all);
      ASSERT_LE(moved_own, own);
    }
  }
}

}  // namespace
}  // namespace microagent::netstack
