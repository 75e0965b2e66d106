// When the guest's data is acknowledged.

#include "netstack/testing/tcp_fixture.h"

namespace microagent::netstack {
namespace {

using namespace testing;

class TcpAckTest : public TcpFixture {
 protected:
  void SetUp() override { establish(); }

  // The guest asks, the host answers so much later; how many segments the guest sees for it, the answer among them.
  std::size_t exchange(std::uint64_t answer_ns = 100'000) {
    guest_says("ask");
    (void)host_hears(3);
    advance(answer_ns);
    host_says("answer");
    const std::vector<Segment> segments = seen();
    EXPECT_FALSE(segments.empty());
    if (segments.empty()) return 0;
    EXPECT_EQ(text_of(segments.back().data), "answer");
    EXPECT_EQ(segments.back().ack, guest_next) << "the answer acknowledges in any case";
    guest_heard = segments.back().end();
    return segments.size();
  }
  // So that an acknowledgement may wait.
  void go_by_turns() {
    for (int i = 0; i < 3; ++i) exchange();
    ASSERT_EQ(exchange(), 1U);
  }
};

TEST_F(TcpAckTest, AtOnceToAnyone) {
  guest_says("hello");
  expect_ack(6);
}

TEST_F(TcpAckTest, WithTheAnswerOnceTheyGoByTurns) {
  EXPECT_EQ(exchange(), 2U);
  EXPECT_EQ(exchange(), 2U);
  for (int i = 0; i < 10; ++i) EXPECT_EQ(exchange(), 1U);
}

TEST_F(TcpAckTest, AHostThatStopsAnsweringCostsTheGuestAMillisecondOnce) {
  go_by_turns();
  guest_says("ask");
  expect_silence();
  ASSERT_TRUE(flows->next_deadline());
  EXPECT_LE(*flows->next_deadline(), environment.now_ns + kMs);
  run_for(kMs);
  expect_ack(guest_next);
  guest_says("ask");
  expect_ack(guest_next);
}

TEST_F(TcpAckTest, AHostThatIsFarAwayIsNotWaitedFor) {
  for (int i = 0; i < 10; ++i) EXPECT_EQ(exchange(20 * kMs), 2U);
}

TEST_F(TcpAckTest, TheSecondSegmentBeforeAnAnswerIsAcknowledgedAtOnce) {
  go_by_turns();
  guest_says("half a question");
  expect_silence();
  guest_says("the other half");
  expect_ack(guest_next);
}

// Write, write, read, with a guest that holds its second segment back until the first is acknowledged.
TEST_F(TcpAckTest, QuestionsOfTwoSegmentsAreNeverHeldUp) {
  for (int i = 0; i < 10; ++i) {
    guest_says("half a question");
    expect_ack(guest_next);
    EXPECT_EQ(exchange(), 2U);
  }
}

TEST_F(TcpAckTest, MoreThanASegmentIsAcknowledgedAtOnce) {
  go_by_turns();
  guest_says(Bytes(2 * kMss, 'x'));
  expect_ack(guest_next);
}

TEST_F(TcpAckTest, TheGuestsEndIsAcknowledgedAtOnce) {
  go_by_turns();
  guest_says("bye");
  expect_silence();
  guest_ends();
  expect_ack(guest_next);
}

TEST_F(TcpAckTest, ARepetitionIsAnsweredAtOnce) {
  go_by_turns();
  guest_says("ask");
  expect_silence();
  send({.seq = guest_next - 3, .ack = guest_heard, .data = bytes_of_text("ask")});
  expect_ack(guest_next);
}

TEST_F(TcpAckTest, AnEarlySegmentIsReportedAtOnce) {
  go_by_turns();
  send({.seq = guest_next + 100, .ack = guest_heard, .data = bytes_of_text("early")});
  expect_ack(guest_next);
}

}  // namespace
}  // namespace microagent::netstack
