#include "netd/busy_poll.h"

#include <gtest/gtest.h>

namespace microagent::netd {
namespace {

using Party = BusyPoll::Party;

constexpr std::uint64_t kSoon = BusyPoll::kMost / 2, kLate = 100 * BusyPoll::kMost;

class BusyPollTest : public ::testing::Test {
 protected:
  // The guest asks, the host answers after `answer_ns`, and the guest asks again after `pause_ns`.
  void exchange(std::uint64_t answer_ns, std::uint64_t pause_ns, int times) {
    for (int i = 0; i < times; ++i) {
      poll.on_work(Party::guest, now_ns);
      now_ns += answer_ns;
      poll.on_work(Party::host, now_ns);
      now_ns += pause_ns;
    }
  }
  // Whether an answer is looked for, `party` having spoken last.
  bool looks_after(Party party) {
    poll.on_work(party, now_ns);
    const bool looks = poll.worthwhile(now_ns);
    EXPECT_FALSE(poll.worthwhile(now_ns + BusyPoll::kMost)) << "never for longer";
    return looks;
  }

  BusyPoll poll;
  std::uint64_t now_ns = 1'000'000'000;
};

TEST_F(BusyPollTest, SleepsAtFirst) {
  EXPECT_FALSE(poll.worthwhile(now_ns));
  EXPECT_FALSE(looks_after(Party::guest));
}

TEST_F(BusyPollTest, LooksForWhatHasComeSoon) {
  exchange(kSoon, kSoon, 10);
  EXPECT_TRUE(looks_after(Party::guest));
  now_ns += kSoon;
  EXPECT_TRUE(looks_after(Party::host));
}

TEST_F(BusyPollTest, EachPartyIsWaitedForByItself) {
  exchange(kSoon, kLate, 20);
  EXPECT_TRUE(looks_after(Party::guest));
  now_ns += kSoon;
  EXPECT_FALSE(looks_after(Party::host));
}

TEST_F(BusyPollTest, StopsSoonWhereItDoesNotPayAndBeginsAgainWhereItWould) {
  exchange(kSoon, kSoon, 1000);
  exchange(kLate, kLate, 4);
  EXPECT_FALSE(looks_after(Party::guest));
  exchange(kSoon, kSoon, 10);
  EXPECT_TRUE(looks_after(Party::guest));
}

TEST_F(BusyPollTest, ARareDelayChangesNothing) {
  for (int i = 0; i < 200; ++i) exchange(i % 8 == 7 ? kLate : kSoon, kSoon, 1);
  EXPECT_TRUE(looks_after(Party::guest));
}

TEST_F(BusyPollTest, WhereHalfOfTheAnswersComeLateNoneIsWaitedFor) {
  for (int i = 0; i < 200; ++i) exchange(i % 2 == 0 ? kLate : kSoon, kSoon, 1);
  EXPECT_FALSE(looks_after(Party::guest));
}

}  // namespace
}  // namespace microagent::netd
