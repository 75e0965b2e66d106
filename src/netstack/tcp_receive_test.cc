// What the guest sends, on its way to the host.

#include <sys/socket.h>

#include "netstack/testing/tcp_fixture.h"

namespace microagent::netstack {
namespace {

using namespace testing;

class TcpReceiveTest : public TcpFixture {
 protected:
  // A segment of the guest's stream, not in its turn perhaps. The stream is pattern().
  void say(std::uint32_t from, std::uint32_t to, bool flush_after = true) {
    send({.seq = 1 + from, .ack = guest_heard, .data = part(from, to)}, flush_after);
  }
  Bytes part(std::uint32_t from, std::uint32_t to) const { return {stream.begin() + from, stream.begin() + to}; }
  void expect_heard(std::uint32_t from, std::uint32_t to) { EXPECT_EQ(host_hears(to - from), part(from, to)); }

  using Blocks = std::vector<std::pair<std::uint32_t, std::uint32_t>>;  // of `stream`
  Blocks blocks_of(const Segment& segment) const {
    Blocks blocks;
    for (std::size_t i = 0; i < segment.options.sack_count; ++i) {
      const wire::SackBlock& block = segment.options.sack[i];
      blocks.emplace_back(block.left - guest_isn - 1, block.right - guest_isn - 1);
    }
    return blocks;
  }

  // Says so much of the stream as the window takes, until something is not acknowledged; returns what was.
  std::uint32_t fill_the_host() {
    constexpr std::uint32_t kStep = 16'384;
    for (;;) {
      guest_says(part(said_, said_ + kStep));
      said_ += kStep;
      const Segment answer = only();
      right_edge = answer.ack + (std::uint32_t{answer.window} << 7);
      if (answer.ack < guest_next) return answer.ack - 1;
      EXPECT_LE(guest_next + kStep, right_edge);
    }
  }

  static inline const Bytes stream = pattern(8 * 1024 * 1024);
  std::uint32_t right_edge = 0;

 private:
  std::uint32_t said_ = 0;
};

TEST_F(TcpReceiveTest, DataIsDeliveredAndAcknowledged) {
  establish();
  guest_says("hello");
  EXPECT_EQ(host_hears_text(5), "hello");
  expect_ack(6);
}

TEST_F(TcpReceiveTest, DataIsDeliveredToAUnixSocket) {
  establish_unix();
  guest_says("hello");
  EXPECT_EQ(host_hears_text(5), "hello");
  expect_ack(6);
}

TEST_F(TcpReceiveTest, ABatchIsAcknowledgedOnce) {
  establish();
  for (std::uint32_t i = 0; i < 10; ++i) say(1000 * i, 1000 * (i + 1), false);
  expect_silence();
  flush();
  expect_ack(10'001);
  expect_heard(0, 10'000);
}

// What comes between two rounds of a loop that goes on.
class TcpPutOffTest : public TcpReceiveTest {
 protected:
  void go_on() { flows->flush(Round::goes_on); }
};

TEST_F(TcpPutOffTest, LittleIsNotAcknowledgedBeforeTheLastRound) {
  establish();
  send({.seq = 1, .ack = 1, .data = bytes_of_text("ping")}, false);
  EXPECT_TRUE(flows->puts_off());
  go_on();
  expect_silence();
  EXPECT_TRUE(flows->puts_off());
  flush();
  expect_ack(5);
  EXPECT_FALSE(flows->puts_off());
}

TEST_F(TcpPutOffTest, AnAnswerOfALaterRoundIsTheAcknowledgement) {
  establish();
  send({.seq = 1, .ack = 1, .data = bytes_of_text("ping")}, false);
  go_on();
  host_says("pong");
  EXPECT_EQ(only().ack, 5U);
  flush();
  expect_silence();
  EXPECT_FALSE(flows->puts_off());
}

TEST_F(TcpPutOffTest, TheEndsOfBothStreamsMakeOneSegment) {
  establish();
  send({.flags = kFin | kAck, .seq = 1, .ack = 1}, false);
  go_on();
  expect_silence();
  EXPECT_TRUE(host_sees_end());
  host_ends();
  const Segment end = only();
  EXPECT_TRUE(end.has(kFin));
  EXPECT_EQ(end.ack, 2U);
}

TEST_F(TcpPutOffTest, AFullSegmentIsAcknowledgedInEveryRound) {
  establish();
  say(0, 1460, false);
  go_on();
  expect_ack(1461);
}

TEST_F(TcpPutOffTest, WhatIsOutOfItsTurnIsAcknowledgedInEveryRound) {
  establish();
  send({.seq = 11, .ack = 1, .data = bytes_of_text("later")}, false);
  go_on();
  expect_ack(1);
}

TEST_F(TcpPutOffTest, NothingIsPutOffForLong) {
  establish();
  send({.seq = 1, .ack = 1, .data = bytes_of_text("ping")}, false);
  for (int round = 0; round < 10; ++round) {
    environment.now_ns += kMs / 10 - 1;
    go_on();
  }
  expect_silence();
  environment.now_ns += 10;
  go_on();
  expect_ack(5);
}

TEST_F(TcpReceiveTest, AnAnswerAcknowledgesByTheWay) {
  establish();
  send({.seq = 1, .ack = 1, .data = bytes_of_text("ping")}, false);
  host_says("pong");  // ends the batch
  const Segment answer = only();
  EXPECT_EQ(text_of(answer.data), "pong");
  EXPECT_EQ(answer.ack, 5U);
}

TEST_F(TcpReceiveTest, LargeFramesAreTaken) {
  establish();
  guest_says(part(0, 65'000));
  expect_heard(0, 65'000);
  expect_ack(65'001);
}

TEST_F(TcpReceiveTest, AFrameOfMorePiecesThanASystemCallTakes) {
  establish();
  piece_bytes = 1;
  guest_says(part(0, 3000));
  piece_bytes = 0;
  events();
  expect_heard(0, 3000);
  EXPECT_EQ(last().ack, 3001U);
}

TEST_F(TcpReceiveTest, SequenceNumbersWrapAround) {
  guest_isn = 0xffff'ff00;
  establish();
  say(0, 200);
  say(200, 1000);
  expect_heard(0, 1000);
  EXPECT_EQ(last().ack, 1001U);
  say(1000, 1100);
  expect_ack(1101);
}

TEST_F(TcpReceiveTest, AnEarlySegmentWaitsAcrossTheWrap) {
  guest_isn = 0xffff'ffff - 500;
  establish();
  say(400, 800);
  EXPECT_EQ(blocks_of(expect_ack(1)), (Blocks{{400, 800}}));
  say(0, 400);
  expect_ack(801);
  expect_heard(0, 800);
}

// ---- Out of order ----

TEST_F(TcpReceiveTest, AnEarlySegmentIsReportedAtOnceAndKept) {
  establish();
  say(1000, 2000);
  EXPECT_EQ(blocks_of(expect_ack(1)), (Blocks{{1000, 2000}}));
  say(0, 1000);
  EXPECT_TRUE(blocks_of(expect_ack(2001)).empty());
  expect_heard(0, 2000);
}

TEST_F(TcpReceiveTest, TheNewestReportComesFirst) {
  establish();
  say(1000, 2000);
  say(5000, 6000);
  say(3000, 4000);
  seen();
  say(6000, 7000);
  EXPECT_EQ(blocks_of(expect_ack(1)), (Blocks{{5000, 7000}, {3000, 4000}, {1000, 2000}}));
}

TEST_F(TcpReceiveTest, FourReportsFitThreeBesideTimestamps) {
  wire::TcpOptions options = guest_options();
  options.timestamps = wire::TcpTimestamps{now_ms(), 0};
  establish();
  for (std::uint32_t i = 1; i <= 6; ++i) say(2000 * i, 2000 * i + 100);
  EXPECT_EQ(last().options.sack_count, 4);
  next_port();
  establish(options);
  for (std::uint32_t i = 1; i <= 6; ++i) say(2000 * i, 2000 * i + 100);
  EXPECT_EQ(last().options.sack_count, 3);
}

TEST_F(TcpReceiveTest, WithoutSackNothingIsReported) {
  wire::TcpOptions options = guest_options();
  options.sack_permitted = false;
  establish(options);
  say(1000, 2000);
  EXPECT_TRUE(blocks_of(expect_ack(1)).empty());
  say(0, 1000);
  expect_ack(2001);
}

TEST_F(TcpReceiveTest, GapsAreFilledInAnyOrder) {
  establish();
  say(4000, 5000);
  say(2000, 3000);
  say(3000, 4000);
  EXPECT_EQ(blocks_of(last()), (Blocks{{2000, 5000}}));
  say(0, 1000);
  expect_ack(1001);
  say(1000, 2000);
  expect_ack(5001);
  expect_heard(0, 5000);
}

// What lies before its turn no more must not stand in the way of what follows it.
TEST_F(TcpReceiveTest, AnOvertakenRangeIsForgotten) {
  establish();
  say(1000, 1100);
  say(3000, 4000);
  say(0, 2000);  // over the first
  EXPECT_EQ(blocks_of(last()), (Blocks{{3000, 4000}}));
  say(2000, 3000);
  expect_ack(4001);
  expect_heard(0, 4000);
}

TEST_F(TcpReceiveTest, ARangeReachedHalfwayIsDeliveredFromThere) {
  establish();
  say(1000, 2000);
  say(0, 1500);
  EXPECT_EQ(last().ack, 2001U);
  expect_heard(0, 2000);
}

// The guest may not change its mind.
TEST_F(TcpReceiveTest, WhereSegmentsOverlapTheOldBytesWin) {
  establish();
  say(1000, 2000);
  send({.seq = 1 + 500, .ack = 1, .data = Bytes(2000, 0xee)});  // [500, 2500)
  say(0, 500);
  EXPECT_EQ(last().ack, 2501U);
  const Bytes heard = host_hears(2500);
  EXPECT_EQ(Bytes(heard.begin() + 1000, heard.begin() + 2000), part(1000, 2000));
  EXPECT_EQ(heard[999], 0xee);
  EXPECT_EQ(heard[2000], 0xee);
}

TEST_F(TcpReceiveTest, MoreRangesThanAreKeptComeAgain) {
  establish();
  for (std::uint32_t i = 1; i <= 40; ++i) say(2000 * i, 2000 * i + 10);
  seen();
  for (std::uint32_t i = 0; i <= 40; ++i) say(2000 * i, 2000 * (i + 1));
  EXPECT_EQ(last().ack, 82'001U);
  expect_heard(0, 82'000);
}

TEST_F(TcpReceiveTest, WhileDataGoesTheOtherWayAReportStillGoesByItself) {
  establish();
  send({.seq = 1 + 1000, .ack = 1, .data = part(1000, 2000)}, false);
  host_says("some");
  const auto segments = seen();
  ASSERT_EQ(segments.size(), 2U);
  EXPECT_EQ(text_of(segments[0].data), "some");
  EXPECT_EQ(blocks_of(segments[1]), (Blocks{{1000, 2000}}));
}

TEST_F(TcpReceiveTest, DataThatDoesNotEndABurstCarriesNoReport) {
  establish();
  say(1000, 2000);
  seen();
  host_says(part(0, 5 * kMss));
  const auto segments = seen();
  ASSERT_EQ(segments.size(), 4U + 1);
  for (const Segment& segment : segments) EXPECT_EQ(segment.options.sack_count, 0);
}

// ---- Repetitions ----

TEST_F(TcpReceiveTest, ARepetitionIsAcknowledgedAtOnceAndNotDelivered) {
  establish();
  say(0, 1000);
  expect_ack(1001);
  say(0, 1000);
  expect_ack(1001);
  say(500, 1500);
  expect_ack(1501);
  expect_heard(0, 1500);
  EXPECT_TRUE(host_drains().empty());
}

TEST_F(TcpReceiveTest, WhatARepetitionAcknowledgesCounts) {
  establish();
  say(0, 1000);
  host_says("answer");
  seen();
  // Its acknowledgement of ours rides on data that we have, but have not acknowledged as far as it knows.
  send({.seq = 1, .ack = 7, .data = part(0, 1200)});
  run_for(60 * kSec);
  for (const Segment& segment : seen()) EXPECT_TRUE(segment.data.empty());
}

TEST_F(TcpReceiveTest, BytesBeyondTheWindowAreCutOff) {
  establish();
  say(0, 1000);
  const Segment ack = expect_ack(1001);
  const std::uint32_t edge = 1000 + (ack.window << 7);
  for (std::uint32_t at = 1000; at < edge + 1000; at += 50'000) {
    say(at, std::min(at + 50'000, edge + 1000), false);
  }
  flush();
  EXPECT_LE(last().ack, 1 + edge + 127);  // the field's granularity
}

TEST_F(TcpReceiveTest, WhatLiesWhollyBeyondTheWindowIsAnswered) {
  establish();
  say(5'000'000, 5'000'100);
  EXPECT_TRUE(blocks_of(expect_ack(1)).empty());
}

// ---- The host does not read ----

TEST_F(TcpReceiveTest, WhatTheHostDoesNotTakeIsNotAcknowledged) {
  establish_unix();
  const std::uint32_t taken = fill_the_host();
  EXPECT_EQ(host_drains(), part(0, taken));
}

TEST_F(TcpReceiveTest, WhileTheHostIsFullTheWindowDoesNotMove) {
  establish_unix();
  fill_the_host();
  const std::uint32_t edge = right_edge;
  std::uint32_t acked = 0;
  while (guest_next + 1000 <= edge) {
    guest_says(part(guest_next - 1, guest_next + 999));
    const Segment answer = only();
    if (acked == 0) acked = answer.ack;
    EXPECT_EQ(answer.ack, acked);
    EXPECT_LT(answer.ack + (answer.window << 7), edge + 128);
    EXPECT_GT(answer.ack + (answer.window << 7), edge - 128);
  }
  // All that waits is bounded by the window, and comes.
  const std::uint32_t said = guest_next - 1;
  Bytes heard;
  while (heard.size() < said) {
    const Bytes more = host_drains();
    heard.insert(heard.end(), more.begin(), more.end());
    ASSERT_FALSE(more.empty());
    events();
  }
  EXPECT_EQ(heard, part(0, said));
  EXPECT_EQ(last().ack, guest_next);
}

TEST_F(TcpReceiveTest, TheHostsReadingMovesTheWindowByItself) {
  establish_unix();
  fill_the_host();
  host_drains();
  events(true);
  const auto updates = seen();
  ASSERT_FALSE(updates.empty());
  EXPECT_EQ(updates.back().ack, guest_next);
  EXPECT_GE(updates.back().window << 7, 64 * 1024);
}

// A sender whose data is never acknowledged gives up; one whose window is closed waits.
TEST_F(TcpReceiveTest, AGuestThatRepeatsWhatWaitsIsToldAClosedWindow) {
  establish_unix();
  const std::uint32_t taken = fill_the_host();
  say(taken, taken + 1000);
  const Segment closed = expect_ack(1 + taken);
  EXPECT_EQ(closed.window, 0);
  say(taken, taken + 1000);
  EXPECT_EQ(expect_ack(1 + taken).window, 0);
  host_drains();
  events(true);
  const Segment open = last();
  EXPECT_EQ(open.ack, guest_next);
  EXPECT_GE(open.window << 7, 64 * 1024);
  guest_says("on");
  EXPECT_EQ(only().ack, guest_next);
}

TEST_F(TcpReceiveTest, AProbeOfAWindowIsAnswered) {
  establish_unix();
  const std::uint32_t taken = fill_the_host();
  advance(kSec);
  send({.seq = taken, .ack = 1});  // one before what it expects: Linux's probe
  expect_ack(1 + taken);
}

TEST_F(TcpReceiveTest, AKeepAliveProbeIsAnswered) {
  establish();
  guest_says("x");
  seen();
  send({.seq = 1, .ack = 1});
  expect_ack(2);
}

TEST_F(TcpReceiveTest, AFullHostThatResetsResetsTheGuest) {
  establish();
  for (int i = 0; i < 2000; ++i) {
    guest_says(part(0, 16'384));
    if (last().ack < guest_next) break;
  }
  host_resets();
  const Segment reset = last();
  EXPECT_EQ(reset.flags, kRst | kAck);
  EXPECT_EQ(only_end(), End::host_reset);
}

// ---- Timestamps (RFC 7323) ----

class TcpTimestampTest : public TcpReceiveTest {
 protected:
  TcpTimestampTest() {
    wire::TcpOptions options = guest_options();
    options.timestamps = wire::TcpTimestamps{kFirst, 0};
    establish(options);
    timestamps = false;
  }
  void say_at(std::uint32_t stamp, std::uint32_t from, std::uint32_t to) {
    Segment segment{.seq = 1 + from, .ack = 1, .data = part(from, to)};
    segment.options.timestamps = wire::TcpTimestamps{stamp, echo};
    send(segment);
  }
  static constexpr std::uint32_t kFirst = 1000;
};

TEST_F(TcpTimestampTest, TheNewestInTurnIsEchoed) {
  say_at(1010, 0, 100);
  EXPECT_EQ(expect_ack(101).options.timestamps->echo, 1010U);
  say_at(1020, 200, 300);  // early: the gap's stamp is what is measured
  EXPECT_EQ(expect_ack(101).options.timestamps->echo, 1010U);
  say_at(1015, 100, 200);
  EXPECT_EQ(expect_ack(301).options.timestamps->echo, 1015U);
}

TEST_F(TcpTimestampTest, AnOldStampIsNotTaken) {
  say_at(2000, 0, 100);
  expect_ack(101);
  say_at(1999, 100, 200);
  expect_ack(101);
  say_at(2000, 100, 200);
  expect_ack(201);
  expect_heard(0, 200);
}

TEST_F(TcpTimestampTest, StampsWrapAround) {
  say_at(kFirst + 0x7000'0000, 0, 100);
  say_at(0xe000'0000 + kFirst, 100, 200);
  say_at(5, 200, 300);
  EXPECT_EQ(last().ack, 301U);
}

TEST_F(TcpTimestampTest, WithoutAStampASegmentIsIgnored) {
  send({.seq = 1, .ack = 1, .data = part(0, 100)});
  expect_silence();
  EXPECT_TRUE(host_drains().empty());
}

TEST_F(TcpTimestampTest, AResetNeedsNone) {
  send({.flags = kRst, .seq = 1});
  EXPECT_EQ(only_end(), End::guest_reset);
}

TEST_F(TcpTimestampTest, AStampOutsideTheWindowIsNotLearned) {
  Segment stray{.seq = 5'000'000, .ack = 1, .data = part(0, 10)};
  stray.options.timestamps = wire::TcpTimestamps{kFirst + 1'000'000, 0};
  send(stray);
  EXPECT_EQ(expect_ack(1).options.timestamps->echo, kFirst);
  say_at(kFirst + 1, 0, 100);
  expect_ack(101);
}

// ---- Urgent data is data (RFC 6093) ----

TEST_F(TcpReceiveTest, UrgentDataStaysInItsPlace) {
  establish();
  send({.flags = kAck | kUrg, .seq = 1, .ack = 1, .data = bytes_of_text("abc!def"), .urgent = 4});
  EXPECT_EQ(host_hears_text(7), "abc!def");
  expect_ack(8);
}

TEST_F(TcpReceiveTest, AnUrgentPointerToNowhereDoesNothing) {
  establish();
  send({.flags = kAck | kUrg, .seq = 1, .ack = 1, .data = bytes_of_text("abc"), .urgent = 60'000});
  EXPECT_EQ(host_hears_text(3), "abc");
  expect_ack(4);
}

}  // namespace
}  // namespace microagent::netstack
