#include "netd/vsock_credit.h"

#include <gtest/gtest.h>

namespace microagent::netd {
namespace {

TEST(PeerCredit, IsTheBufferLessWhatIsInFlight) {
  PeerCredit credit;
  EXPECT_EQ(credit.available(), 0U);
  ASSERT_TRUE(credit.update(100, 0));
  credit.spend(60);
  EXPECT_EQ(credit.available(), 40U);
  ASSERT_TRUE(credit.update(100, 50));
  EXPECT_EQ(credit.available(), 90U);
}

TEST(PeerCredit, ABufferMayShrinkBelowWhatIsInFlight) {
  PeerCredit credit;
  ASSERT_TRUE(credit.update(100, 0));
  credit.spend(80);
  ASSERT_TRUE(credit.update(10, 0));
  EXPECT_EQ(credit.available(), 0U);
}

TEST(PeerCredit, RefusesCountsThatCannotBe) {
  PeerCredit credit;
  EXPECT_FALSE(credit.update(100, 1));
  EXPECT_FALSE(credit.update(100, 0xffffffff));
  ASSERT_TRUE(credit.update(100, 0));
  credit.spend(50);
  ASSERT_TRUE(credit.update(100, 30));
  EXPECT_FALSE(credit.update(100, 29));
  EXPECT_FALSE(credit.update(100, 51));
  EXPECT_TRUE(credit.update(100, 50));
}

TEST(PeerCredit, CountsRunPastTheirWrap) {
  PeerCredit credit;
  std::uint32_t forwarded = 0;
  ASSERT_TRUE(credit.update(0xffffffff, forwarded));
  for (int i = 0; i < 10; ++i) {
    credit.spend(0x70000000);
    forwarded += 0x70000000;
    ASSERT_TRUE(credit.update(0xffffffff, forwarded));
    EXPECT_EQ(credit.available(), 0xffffffffU);
  }
}

TEST(OwnCredit, AllowsExactlyTheBuffer) {
  OwnCredit credit(kVsockBuffer);
  EXPECT_FALSE(credit.receive(kVsockBuffer + 1));
  EXPECT_TRUE(credit.receive(kVsockBuffer));
  EXPECT_FALSE(credit.receive(1));
  credit.forward(1);
  EXPECT_TRUE(credit.receive(1));
  EXPECT_FALSE(credit.receive(0xffffffff));
}

TEST(OwnCredit, ANotableAmountOfRoomIsWorthTelling) {
  OwnCredit credit(kVsockBuffer);
  ASSERT_TRUE(credit.receive(kVsockBuffer));
  credit.forward(kVsockBuffer / 4 - 1);
  EXPECT_FALSE(credit.worth_telling());
  credit.forward(1);
  EXPECT_TRUE(credit.worth_telling());
  credit.tell();
  EXPECT_FALSE(credit.worth_telling());
}

}  // namespace
}  // namespace microagent::netd
