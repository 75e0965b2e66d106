#include "netstack/tcp_memory.h"

#include <gtest/gtest.h>

#include <map>
#include <random>

#include "base/pieces.h"
#include "netstack/tcp_connection.h"
#include "netstack/testing/frames.h"

namespace microagent::netstack {
namespace {

using testing::Bytes;
using testing::pattern;

iovec piece_of(const Bytes& bytes) { return {const_cast<std::uint8_t*>(bytes.data()), bytes.size()}; }

// 2,000 idle connections in 10 MiB, 16,384 flows at 1 KiB each: the connection, its two places in the tables, their
// nodes' and buckets' pointers, its deadline. What else it may own is there only while it is not idle.
TEST(TcpMemoryTest, AnIdleConnectionIsSmall) {
  constexpr std::size_t kNodes = sizeof(TcpKey) + 4 + 2 * 8 + 16 + 8 + 4 + 8 + 16 + 2 * 8;
  constexpr std::size_t kDeadline = 2 * 24;
  EXPECT_LE(sizeof(TcpConnection) + sizeof(Scoreboard) + kNodes + kDeadline, 1024U);
}

TEST(MemoryBudgetTest, GivesAllOrNothing) {
  MemoryBudget budget(100);
  EXPECT_TRUE(budget.take(60));
  EXPECT_FALSE(budget.take(41));
  EXPECT_TRUE(budget.take(40));
  EXPECT_EQ(budget.left(), 0U);
  budget.give_back(100);
  EXPECT_EQ(budget.left(), 100U);
}

TEST(HeldBytesTest, IsAQueue) {
  HeldBytes held;
  const Bytes bytes = pattern(1000);
  const iovec pieces[] = {{const_cast<std::uint8_t*>(bytes.data()), 400},
                          {const_cast<std::uint8_t*>(bytes.data()) + 400, 600}};
  held.append(pieces, 100, 800);
  EXPECT_EQ(Bytes(held.view().begin(), held.view().end()), Bytes(bytes.begin() + 100, bytes.begin() + 900));
  held.drop_front(300);
  EXPECT_EQ(held.size(), 500U);
  EXPECT_EQ(held.view().front(), bytes[400]);
  held.drop_front(500);
  EXPECT_TRUE(held.empty());
}

class OutOfOrderTest : public ::testing::Test {
 protected:
  bool add(std::uint32_t at, std::uint32_t size) {
    const Bytes bytes(stream.begin() + at, stream.begin() + at + size);
    const iovec piece = piece_of(bytes);
    return waiting.add(Seq(at), {&piece, 1}, size, budget);
  }
  Bytes front(std::uint32_t next) const {
    const ByteView view = waiting.front(Seq(next));
    return {view.begin(), view.end()};
  }
  Bytes part(std::uint32_t from, std::uint32_t to) const { return {stream.begin() + from, stream.begin() + to}; }

  const Bytes stream = pattern(100'000);
  MemoryBudget budget{50'000};
  OutOfOrder waiting;
};

TEST_F(OutOfOrderTest, KeepsWhatIsEarly) {
  EXPECT_TRUE(add(100, 50));
  EXPECT_EQ(front(0), Bytes{});
  EXPECT_EQ(front(100), part(100, 150));
  EXPECT_EQ(front(120), part(120, 150));
  EXPECT_EQ(front(150), Bytes{});
  EXPECT_EQ(budget.left(), 49'950U);
}

TEST_F(OutOfOrderTest, JoinsAtBothEnds) {
  EXPECT_TRUE(add(100, 50));
  EXPECT_TRUE(add(200, 50));
  EXPECT_TRUE(add(150, 50));
  EXPECT_EQ(front(100), part(100, 250));
  EXPECT_TRUE(add(50, 50));
  EXPECT_TRUE(add(250, 50));
  EXPECT_EQ(front(50), part(50, 300));
  EXPECT_EQ(waiting.bytes(), 250U);
}

TEST_F(OutOfOrderTest, WhatIsThereCostsNothing) {
  EXPECT_TRUE(add(100, 100));
  EXPECT_TRUE(add(120, 30));
  EXPECT_TRUE(add(100, 100));
  EXPECT_EQ(budget.left(), 49'900U);
}

TEST_F(OutOfOrderTest, ForgetsWhatWasOvertaken) {
  add(100, 50);
  add(200, 50);
  waiting.forget_before(Seq(149), budget);
  EXPECT_EQ(waiting.bytes(), 100U);
  waiting.forget_before(Seq(150), budget);
  EXPECT_EQ(waiting.bytes(), 50U);
  EXPECT_EQ(budget.left(), 49'950U);
  waiting.clear(budget);
  EXPECT_EQ(budget.left(), 50'000U);
  EXPECT_TRUE(waiting.empty());
}

TEST_F(OutOfOrderTest, WithoutMemoryNothingChanges) {
  EXPECT_TRUE(add(100, 50));
  ASSERT_TRUE(budget.take(49'950));
  EXPECT_FALSE(add(150, 50));
  EXPECT_FALSE(add(300, 50));
  EXPECT_EQ(front(100), part(100, 150));
}

TEST_F(OutOfOrderTest, HasALimitOfRanges) {
  for (std::uint32_t i = 0; i < OutOfOrder::kMaxRanges; ++i) EXPECT_TRUE(add(100 + 20 * i, 10));
  EXPECT_FALSE(add(50'000, 10));
  EXPECT_TRUE(add(110, 10));  // joins two
  EXPECT_TRUE(add(50'000, 10));
}

TEST_F(OutOfOrderTest, ReportsTheNewestFirst) {
  add(100, 10);
  add(200, 10);
  add(300, 10);
  add(110, 10);
  std::array<OutOfOrder::Range, 2> blocks;
  ASSERT_EQ(waiting.report(blocks), 2U);
  EXPECT_EQ(blocks[0].left, Seq(100));
  EXPECT_EQ(blocks[0].right, Seq(120));
  EXPECT_EQ(blocks[1].left, Seq(300));
}

// Against a map of single bytes, where the first that came wins.
TEST_F(OutOfOrderTest, AgreesWithASimpleModel) {
  std::mt19937 random(5);
  for (int round = 0; round < 300; ++round) {
    std::map<std::uint32_t, std::uint8_t> model;
    std::uint32_t next = 0;
    for (int step = 0; step < 30; ++step) {
      const std::uint32_t at = next + 1 + random() % 200, size = 1 + random() % 40;
      Bytes bytes(size, static_cast<std::uint8_t>(random()));
      const iovec piece = piece_of(bytes);
      if (waiting.add(Seq(at), {&piece, 1}, size, budget)) {
        for (std::uint32_t i = 0; i < size; ++i) model.emplace(at + i, bytes[i]);
      }
      if (random() % 5 == 0) {
        next += random() % 50;
        waiting.forget_before(Seq(next), budget);
      }
      Bytes expected;
      for (auto byte = model.find(next); byte != model.end() && byte->first == next + expected.size(); ++byte) {
        expected.push_back(byte->second);
      }
      ASSERT_EQ(front(next), expected);
    }
    waiting.clear(budget);
    ASSERT_EQ(budget.left(), 50'000U);
  }
}

}  // namespace
}  // namespace microagent::netstack
