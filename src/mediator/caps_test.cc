#include "mediator/caps.h"

#include <gtest/gtest.h>

#include <map>

#include "mediator/test_directory.h"

namespace microagent::mediator {
namespace {

using flow::kWorkspaceBudget;

policy::RuleText capped(std::string host, std::optional<std::uint64_t> bytes, std::optional<std::uint32_t> flows) {
  return {.form = policy::RuleText::Form::host,
          .destination = std::move(host),
          .max_bytes = bytes,
          .max_connections = flows};
}

class CapsTest : public testing::Test {
 protected:
  Caps open() {
    auto caps = Caps::open(file_, [this](const flow::Limits& limits) { limits_[limits.budget] = limits; });
    EXPECT_TRUE(caps) << caps.error().message;
    return std::move(*caps);
  }

  policy::Policy policy() const { return *policy::Policy::compile(text_); }
  policy::RulePtr rule(std::size_t index) const { return policy().list(policy::List::allow).rules()[index]; }
  std::uint64_t charged(const std::string& key = "workspace") const { return read_usage(file_)->at(key); }

  // A netd that spends all it may, up to `bytes`; what it spent.
  std::uint64_t spend(Caps& caps, flow::BudgetId budget, std::uint64_t bytes) {
    std::uint64_t& spent = spent_[budget];
    const std::uint64_t goal = spent + bytes;
    const std::uint64_t before = spent;
    while (spent < goal) {
      const std::uint64_t next = std::min(goal, limits_[budget].bytes);
      if (next <= spent) break;
      spent = next;
      EXPECT_TRUE(caps.on_usage({.budget = budget, .bytes_out = spent}));
    }
    return spent - before;
  }

  TestDirectory directory_;
  std::filesystem::path file_ = directory_.audit_file().parent_path() / "usage.json";
  policy::PolicyText text_;
  std::map<flow::BudgetId, flow::Limits> limits_;
  std::map<flow::BudgetId, std::uint64_t> spent_;
};

TEST_F(CapsTest, SayNothingWhereThereAreNone) {
  Caps caps = open();
  ASSERT_TRUE(caps.apply(policy()));
  EXPECT_TRUE(limits_.empty());
  EXPECT_EQ(*caps.admit(nullptr), kWorkspaceBudget);
  ASSERT_TRUE(caps.on_usage({.budget = kWorkspaceBudget, .bytes_out = 5, .bytes_in = 7}));
  EXPECT_EQ(caps.bytes_out(), 5U);
  EXPECT_EQ(caps.bytes_in(), 7U);
  EXPECT_TRUE(caps.settle());
  EXPECT_FALSE(std::filesystem::exists(file_));
}

// Of what lives netd tells once a second.
TEST_F(CapsTest, KnowAtOnceWhatAnEndedFlowHasMoved) {
  Caps caps = open();
  ASSERT_TRUE(caps.apply(policy()));
  const auto first = *caps.admit(nullptr), second = *caps.admit(nullptr);
  ASSERT_TRUE(caps.on_usage({.budget = kWorkspaceBudget, .bytes_out = 78, .bytes_in = 0}));
  caps.release(first, 78, 250);
  EXPECT_EQ(caps.bytes_out(), 78U);
  EXPECT_EQ(caps.bytes_in(), 250U);
  ASSERT_TRUE(caps.on_usage({.budget = kWorkspaceBudget, .bytes_out = 100, .bytes_in = 300}));
  caps.release(second, 22, 50);
  EXPECT_EQ(caps.bytes_out(), 100U);
  EXPECT_EQ(caps.bytes_in(), 300U);
}

TEST_F(CapsTest, GrantTheWholeCapInPartsThatAreWrittenDownFirst) {
  text_.caps.max_total_bytes = 10'000'000;
  Caps caps = open();
  ASSERT_TRUE(caps.apply(policy()));
  EXPECT_EQ(limits_[kWorkspaceBudget].bytes, 10'000'000U / 16);
  EXPECT_EQ(limits_[kWorkspaceBudget].last, 0);
  EXPECT_EQ(charged(), 10'000'000U / 16);
  EXPECT_EQ(spend(caps, kWorkspaceBudget, 2'000'000), 2'000'000U);
  EXPECT_GE(charged(), 2'000'000U);
  EXPECT_EQ(spend(caps, kWorkspaceBudget, 20'000'000), 8'000'000U);
  EXPECT_EQ(limits_[kWorkspaceBudget].last, 1);
  EXPECT_EQ(charged(), 10'000'000U);
  const auto refused = caps.admit(nullptr);
  ASSERT_FALSE(refused);
  EXPECT_EQ(refused.error().cap, "maxTotalBytes");
  EXPECT_EQ(refused.error().limit, 10'000'000U);
  EXPECT_EQ(caps.take_hit(kWorkspaceBudget)->cap, "maxTotalBytes");
  EXPECT_FALSE(caps.take_hit(kWorkspaceBudget));
}

TEST_F(CapsTest, CountAcrossRestartsWhateverDied) {
  text_.caps.max_total_bytes = 1'000'000;
  std::uint64_t spent = 0;
  int runs = 0;
  for (; runs < 100; ++runs) {
    limits_.clear();
    spent_.clear();
    Caps caps = open();
    ASSERT_TRUE(caps.apply(policy()));
    const std::uint64_t now = spend(caps, kWorkspaceBudget, 100'000);
    spent += now;
    ASSERT_LE(spent, 1'000'000U);
    if (now == 0) break;
  }
  EXPECT_GE(spent, 500'000U);  // a grant is lost with each death, no more
  EXPECT_LT(runs, 100);
}

TEST_F(CapsTest, TakeBackWhatWasNotSpentAtAnOrderlyEnd) {
  text_.caps.max_total_bytes = 1'000'000;
  Caps caps = open();
  ASSERT_TRUE(caps.apply(policy()));
  const auto budget = *caps.admit(nullptr);
  spend(caps, budget, 1000);
  ASSERT_TRUE(caps.settle());
  EXPECT_GT(charged(), 1000U);  // a flow lives, and nobody knows what it has moved since
  caps.release(budget, 1000, 500);
  ASSERT_TRUE(caps.settle());
  EXPECT_EQ(charged(), 1500U);
}

TEST_F(CapsTest, HoldTheNumberOfFlows) {
  text_.caps.max_connections = 2;
  Caps caps = open();
  ASSERT_TRUE(caps.apply(policy()));
  const auto budget = caps.admit(nullptr);
  ASSERT_TRUE(budget && caps.admit(nullptr));
  const auto refused = caps.admit(nullptr);
  ASSERT_FALSE(refused);
  EXPECT_EQ(refused.error().cap, "maxConnections");
  EXPECT_EQ(refused.error().reason, "concurrency");
  caps.release(*budget, 0, 0);
  EXPECT_TRUE(caps.admit(nullptr));
}

TEST_F(CapsTest, HoldARulesOwn) {
  text_.allow = {capped("a.example", 200'000, 1), capped("b.example", {}, {})};
  Caps caps = open();
  ASSERT_TRUE(caps.apply(policy()));
  const auto own = caps.admit(rule(0));
  ASSERT_TRUE(own);
  EXPECT_NE(*own, kWorkspaceBudget);
  EXPECT_EQ(caps.admit(rule(0)).error().cap, "rule a.example: maxConnections");
  EXPECT_EQ(*caps.admit(rule(1)), kWorkspaceBudget);
  EXPECT_EQ(spend(caps, *own, 1'000'000), 200'000U);
  caps.release(*own, 200'000, 0);
  EXPECT_EQ(caps.admit(rule(0)).error().cap, "rule a.example: maxBytes");
  EXPECT_EQ(charged("rule a.example"), 200'000U);
}

TEST_F(CapsTest, FollowThePolicy) {
  Caps caps = open();
  ASSERT_TRUE(caps.apply(policy()));
  spend(caps, kWorkspaceBudget, 0);
  text_.caps.max_total_bytes = 100'000;
  text_.caps.max_bytes_per_second = 5'000;
  ASSERT_TRUE(caps.apply(policy()));
  EXPECT_EQ(limits_[kWorkspaceBudget].bytes_per_second, 5'000U);
  EXPECT_EQ(spend(caps, kWorkspaceBudget, 1'000'000), 100'000U);
  EXPECT_FALSE(caps.admit(nullptr));
  text_.caps = {};
  ASSERT_TRUE(caps.apply(policy()));
  EXPECT_EQ(limits_[kWorkspaceBudget].bytes, flow::kUnlimited);
  EXPECT_EQ(limits_[kWorkspaceBudget].bytes_per_second, flow::kUnlimited);
  EXPECT_TRUE(caps.admit(nullptr));
}

TEST_F(CapsTest, GrantNothingThatCannotBeWrittenDown) {
  text_.caps.max_total_bytes = 10'000'000;
  Caps caps = open();
  ASSERT_TRUE(caps.apply(policy()));
  std::ofstream(directory_.audit_file()) << "";
  {
    const FullDisk full(directory_.audit_file());
    EXPECT_FALSE(caps.on_usage({.budget = kWorkspaceBudget, .bytes_out = 600'000}));
  }
  EXPECT_EQ(limits_[kWorkspaceBudget].bytes, 600'000U);
  EXPECT_EQ(limits_[kWorkspaceBudget].last, 1);
  ASSERT_TRUE(caps.on_usage({.budget = kWorkspaceBudget, .bytes_out = 600'000}));
  EXPECT_GT(limits_[kWorkspaceBudget].bytes, 600'000U);
}

}  // namespace
}  // namespace microagent::mediator
