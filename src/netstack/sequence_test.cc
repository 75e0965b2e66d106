#include "netstack/sequence.h"

#include <gtest/gtest.h>

namespace microagent::netstack {
namespace {

constexpr Seq kBeforeWrap{0xffff'fff0};

TEST(SeqTest, AddsAroundTheCircle) {
  EXPECT_EQ((kBeforeWrap + 0x20).value(), 0x10U);
  EXPECT_EQ((Seq(0x10) - 0x20).value(), 0xffff'fff0U);
  Seq moved = kBeforeWrap;
  moved += 0x10;
  EXPECT_EQ(moved, Seq(0));
}

TEST(SeqTest, ComparesAroundTheCircle) {
  EXPECT_LT(kBeforeWrap, kBeforeWrap + 0x20);
  EXPECT_GT(kBeforeWrap + 0x20, kBeforeWrap);
  EXPECT_LE(kBeforeWrap, kBeforeWrap);
  EXPECT_GE(kBeforeWrap, kBeforeWrap);
  EXPECT_FALSE(kBeforeWrap < kBeforeWrap);
}

TEST(SeqTest, ComparesUpToHalfTheCircle) {
  EXPECT_LT(Seq(1), Seq(1) + 0x7fff'ffff);
  EXPECT_GT(Seq(1), Seq(1) + 0x8000'0001);
}

TEST(SeqTest, DistancesHaveASign) {
  EXPECT_EQ(kBeforeWrap + 0x20 - kBeforeWrap, 0x20);
  EXPECT_EQ(kBeforeWrap - (kBeforeWrap + 0x20), -0x20);
}

TEST(SeqTest, SpansAcrossTheWrap) { EXPECT_EQ(span(kBeforeWrap, Seq(0x10)), 0x20U); }

TEST(SeqTest, TheLaterOfTwo) {
  EXPECT_EQ(max(kBeforeWrap, Seq(3)), Seq(3));
  EXPECT_EQ(min(kBeforeWrap, Seq(3)), kBeforeWrap);
}

}  // namespace
}  // namespace microagent::netstack
