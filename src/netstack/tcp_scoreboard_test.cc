#include "netstack/tcp_scoreboard.h"

#include <gtest/gtest.h>

#include <random>
#include <set>

namespace microagent::netstack {
namespace {

using Pairs = std::vector<std::pair<std::uint32_t, std::uint32_t>>;

class ScoreboardTest : public ::testing::Test {
 protected:
  void add(std::uint32_t left, std::uint32_t right) { board.add({Seq(left), Seq(right)}); }
  Pairs gaps(std::uint32_t from) const {
    Pairs all;
    Seq at(from);
    while (const auto gap = board.next_gap(at)) {
      all.emplace_back(gap->left.value(), gap->right.value());
      at = gap->right;
    }
    return all;
  }

  Scoreboard board;
};

TEST_F(ScoreboardTest, IsEmptyAtFirst) {
  EXPECT_TRUE(board.empty());
  EXPECT_EQ(board.bytes(), 0U);
  EXPECT_EQ(board.next_gap(Seq(0)), std::nullopt);
}

TEST_F(ScoreboardTest, TellsTheGapsBeforeAndBetween) {
  add(300, 400);
  add(100, 200);
  EXPECT_EQ(gaps(0), (Pairs{{0, 100}, {200, 300}}));
  EXPECT_EQ(board.highest(), Seq(400));
  EXPECT_EQ(board.bytes(), 200U);
  EXPECT_EQ(board.gap_bytes(Seq(0)), 200U);
}

TEST_F(ScoreboardTest, AGapBeginsWhereItIsAskedFor) {
  add(100, 200);
  EXPECT_EQ(gaps(60), (Pairs{{60, 100}}));
  EXPECT_EQ(gaps(150), Pairs{});
}

TEST_F(ScoreboardTest, RangesThatTouchBecomeOne) {
  add(100, 200);
  add(300, 400);
  add(200, 300);
  EXPECT_EQ(gaps(0), (Pairs{{0, 100}}));
  EXPECT_EQ(board.bytes(), 300U);
}

TEST_F(ScoreboardTest, OverlapsCountOnce) {
  add(100, 300);
  add(200, 400);
  add(100, 400);
  add(250, 260);
  EXPECT_EQ(board.bytes(), 300U);
}

TEST_F(ScoreboardTest, ForgetsWhatIsAcknowledged) {
  add(100, 200);
  add(300, 400);
  board.forget_before(Seq(350));
  EXPECT_EQ(board.bytes(), 50U);
  board.forget_before(Seq(400));
  EXPECT_TRUE(board.empty());
}

TEST_F(ScoreboardTest, CrossesTheWrap) {
  add(0xffff'ff00, 0xffff'ff80);
  add(0x10, 0x20);
  EXPECT_EQ(gaps(0xffff'fe00), (Pairs{{0xffff'fe00, 0xffff'ff00}, {0xffff'ff80, 0x10}}));
  EXPECT_EQ(board.highest(), Seq(0x20));
}

TEST_F(ScoreboardTest, OfTooManyTheFirstAreKept) {
  for (std::uint32_t i = 40; i > 0; --i) add(100 * i, 100 * i + 10);
  EXPECT_EQ(gaps(0).size(), 16U);
  EXPECT_EQ(gaps(0).front(), (Pairs::value_type{0, 100}));
  EXPECT_EQ(board.highest(), Seq(1610));
}

TEST_F(ScoreboardTest, AgreesWithASetOfBytes) {
  std::mt19937 random(3);
  for (int round = 0; round < 200; ++round) {
    board.clear();
    std::set<std::uint32_t> model;
    std::uint32_t acknowledged = 0;
    for (int step = 0; step < 12; ++step) {
      const std::uint32_t left = acknowledged + 1 + random() % 60, right = left + 1 + random() % 20;
      add(left, right);
      for (std::uint32_t at = left; at < right; ++at) model.insert(at);
      if (random() % 4 == 0) {
        acknowledged += random() % 20;
        board.forget_before(Seq(acknowledged));
        model.erase(model.begin(), model.lower_bound(acknowledged));
      }
      ASSERT_EQ(board.bytes(), model.size());
      ASSERT_EQ(board.empty(), model.empty());
      if (model.empty()) continue;
      ASSERT_EQ(board.highest(), Seq(*model.rbegin() + 1));
      std::uint32_t missing = 0;
      for (std::uint32_t at = acknowledged; at < *model.rbegin(); ++at) missing += model.contains(at) ? 0 : 1;
      ASSERT_EQ(board.gap_bytes(Seq(acknowledged)), missing);
    }
  }
}

}  // namespace
}  // namespace microagent::netstack
