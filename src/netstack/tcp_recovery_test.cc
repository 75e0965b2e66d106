// What is lost on the way to the guest is sent again.

#include "netstack/tcp_congestion.h"
#include "netstack/tcp_rtt.h"
#include "netstack/testing/tcp_fixture.h"
#include "wire/virtio.h"

namespace microagent::netstack {
namespace {

using namespace testing;

class TcpRecoveryTest : public TcpFixture {
 protected:
  // `count` whole segments are on their way.
  void send_segments(std::uint32_t count) {
    said = pattern(count * kMss);
    host_says(said);
    ASSERT_EQ(seen().size(), count);
  }
  static std::uint32_t at(std::uint32_t segment) { return 1 + segment * kMss; }

  // The guest has everything before segment `next` and the given ranges of segments beyond it.
  using Ranges = std::vector<std::pair<std::uint32_t, std::uint32_t>>;
  void guest_reports(std::uint32_t next, const Ranges& ranges, bool flush_after = true) {
    Segment ack{.seq = guest_next, .ack = at(next)};
    for (const auto& [left, right] : ranges) {
      ack.options.sack[ack.options.sack_count++] = {our_isn + at(left), our_isn + at(right)};
    }
    send(ack, flush_after);
  }

  // What was sent again, in segments.
  Ranges repeated() {
    Ranges ranges;
    for (const Segment& segment : seen()) {
      if (segment.data.empty()) continue;
      EXPECT_EQ(segment.data,
                Bytes(said.begin() + segment.seq - 1, said.begin() + segment.seq - 1 + segment.data.size()));
      const auto end = static_cast<std::uint32_t>(segment.seq + segment.data.size());
      ranges.emplace_back((segment.seq - 1) / kMss, (end - 1 + kMss - 1) / kMss);
    }
    return ranges;
  }

  Ranges::value_type first_repeated() {
    const Ranges ranges = repeated();
    EXPECT_FALSE(ranges.empty());
    return ranges.empty() ? Ranges::value_type{} : ranges.front();
  }

  FlowId establish_without_sack() {
    wire::TcpOptions options = guest_options();
    options.sack_permitted = false;
    return establish(options);
  }

  Bytes said;
};

// ---- The retransmission timer (RFC 6298) ----

TEST_F(TcpRecoveryTest, WithoutASampleTheTimeoutIsASecond) {
  establish();
  send_segments(1);
  advance(999 * kMs);
  expect_silence();
  advance(kMs);
  EXPECT_EQ(repeated(), (Ranges{{0, 1}}));
}

TEST_F(TcpRecoveryTest, TheTimeoutFollowsTheRoundTrips) {
  establish();
  for (int i = 0; i < 20; ++i) {
    send_segments(1);
    advance(100 * kMs);
    guest_acks(guest_heard + kMss);
    guest_heard = 1 + static_cast<std::uint32_t>((i + 1) * kMss);
  }
  said = pattern(kMss);
  host_says(said);
  seen();
  advance(199 * kMs);
  expect_silence();
  advance(100 * kMs);
  EXPECT_EQ(seen().size(), 1U);
}

TEST_F(TcpRecoveryTest, ATimestampIsASampleToo) {
  wire::TcpOptions options = guest_options();
  options.timestamps = wire::TcpTimestamps{now_ms(), 0};
  establish(options);
  for (std::uint32_t i = 1; i <= 20; ++i) {
    host_says("x");
    seen();
    advance(50 * kMs);
    guest_acks(1 + i);
  }
  host_says("x");
  seen();
  advance(199 * kMs);
  expect_silence();
  advance(2 * kMs);
  EXPECT_EQ(seen().size(), 1U);
}

TEST_F(TcpRecoveryTest, EveryTimeoutDoublesTheNext) {
  establish();
  send_segments(1);
  for (std::uint64_t wait = 1; wait <= 32; wait *= 2) {
    advance(wait * kSec - kMs);
    expect_silence();
    advance(kMs);
    EXPECT_EQ(repeated(), (Ranges{{0, 1}}));
  }
  advance(59 * kSec);
  expect_silence();
  advance(kSec);
  EXPECT_EQ(repeated(), (Ranges{{0, 1}}));
}

TEST_F(TcpRecoveryTest, AGuestThatAcknowledgesNothingIsGivenUp) {
  establish();
  send_segments(1);
  run_for(3600 * kSec);
  EXPECT_EQ(only_end(), End::timed_out);
  const auto segments = seen();
  EXPECT_EQ(segments.size(), 15U + 1);
  EXPECT_EQ(segments.back().flags, kRst | kAck);
  EXPECT_TRUE(host_sees_reset());
  EXPECT_EQ(counters.flows, 0U);
}

TEST_F(TcpRecoveryTest, AnAckEndsTheBackingOff) {
  establish();
  send_segments(2);
  advance(kSec);
  advance(2 * kSec);
  seen();
  guest_acks(at(2));
  host_says(pattern(kMss));
  seen();
  advance(kSec);
  // The sample was taken of nothing that was sent twice (Karn), but the next timeout is not a backed-off one for ever.
  run_for(60 * kSec);
  EXPECT_FALSE(seen().empty());
}

TEST_F(TcpRecoveryTest, EveryAckOfNewDataStartsTheTimerAgain) {
  establish();
  send_segments(3);
  advance(800 * kMs);
  guest_acks(at(1));
  advance(2399 * kMs);  // the sample's timeout
  expect_silence();
  advance(kMs);
  EXPECT_EQ(first_repeated(), (Ranges::value_type{1, 2}));
}

TEST_F(TcpRecoveryTest, AfterATimeoutItGoesSlowlyFromTheOldest) {
  establish();
  send_segments(8);
  advance(kSec);
  EXPECT_EQ(repeated(), (Ranges{{0, 1}}));
  guest_acks(at(1));
  EXPECT_EQ(repeated(), (Ranges{{1, 2}, {2, 3}}));
  guest_acks(at(3));
  EXPECT_EQ(repeated(), (Ranges{{3, 4}, {4, 5}, {5, 6}, {6, 7}}));
  guest_acks(at(8));
  expect_silence();
  host_says("after");
  EXPECT_EQ(text_of(only().data), "after");
}

TEST_F(TcpRecoveryTest, AfterATimeoutTheAckMayBeOfAll) {
  establish();
  send_segments(8);
  advance(kSec);
  seen();
  guest_acks(at(8));  // it was only slow
  expect_silence();
  run_for(10 * kSec);
  expect_silence();
  host_says("after");
  EXPECT_EQ(only().seq, at(8));
}

TEST_F(TcpRecoveryTest, AfterATimeoutWhatWasReportedIsPassedOver) {
  establish();
  send_segments(6);
  guest_reports(0, {{2, 3}, {4, 6}}, false);
  seen();
  advance(2 * kSec);
  seen();
  guest_acks(at(1));
  guest_acks(at(3));
  Ranges all = repeated();
  for (const auto& [left, right] : all) {
    EXPECT_NE(left, 2U);
    EXPECT_LT(left, 4U);
  }
}

// RFC 2018, 8: it may have forgotten what it reported.
TEST_F(TcpRecoveryTest, ASecondTimeoutForgetsTheReports) {
  establish();
  send_segments(4);
  guest_reports(0, {{1, 4}});
  EXPECT_EQ(repeated(), (Ranges{{0, 1}}));
  run_for(10 * kSec);
  seen();
  guest_acks(at(1));  // and nothing more: the reports were lies
  run_for(60 * kSec);
  Ranges all = repeated();
  guest_acks(at(2));
  guest_acks(at(3));
  Ranges more = repeated();
  all.insert(all.end(), more.begin(), more.end());
  for (std::uint32_t segment = 1; segment < 4; ++segment) {
    EXPECT_TRUE(std::ranges::any_of(all, [&](const auto& range) {
      return range.first <= segment && segment < range.second;
    })) << segment;
  }
  guest_acks(at(4));
  run_for(600 * kSec);
  EXPECT_TRUE(upcalls.ends.empty());
}

TEST_F(TcpRecoveryTest, ATimeoutWhileThereIsNoRoomCostsNothing) {
  establish();
  send_segments(2);
  wire.frames_of_room = 0;
  run_for(3600 * kSec);
  EXPECT_TRUE(upcalls.ends.empty());
  give_room(std::nullopt);
  EXPECT_EQ(first_repeated(), (Ranges::value_type{0, 1}));
  guest_acks(at(2));
  run_for(60 * kSec);
  expect_silence();
}

// ---- Fast retransmit (RFC 5681, 3.2; RFC 6582) ----

TEST_F(TcpRecoveryTest, ThreeDuplicatesAreALoss) {
  establish_without_sack();
  send_segments(8);
  guest_acks(at(1));
  guest_acks(at(1));
  guest_acks(at(1));
  expect_silence();
  guest_acks(at(1));
  EXPECT_EQ(repeated(), (Ranges{{1, 2}}));
}

TEST_F(TcpRecoveryTest, APartialAckIsTheNextLoss) {
  establish_without_sack();
  send_segments(8);
  for (int i = 0; i < 3; ++i) guest_acks(at(0));
  EXPECT_EQ(repeated(), (Ranges{{0, 1}}));
  guest_acks(at(3));
  EXPECT_EQ(repeated(), (Ranges{{3, 4}}));
  guest_acks(at(8));
  expect_silence();
}

TEST_F(TcpRecoveryTest, OneLossHalvesTheWindowOnce) {
  establish_without_sack();
  send_segments(8);
  for (int i = 0; i < 10; ++i) guest_acks(at(0));
  EXPECT_EQ(repeated(), (Ranges{{0, 1}}));
  guest_acks(at(8));
  host_says(pattern(20 * kMss));
  EXPECT_EQ(seen().size(), 4U);  // half of the eight that were under way
}

TEST_F(TcpRecoveryTest, WindowUpdatesAreNoDuplicates) {
  establish_without_sack();
  send_segments(8);
  for (std::uint16_t i = 0; i < 5; ++i) guest_acks(at(0), static_cast<std::uint16_t>(8000 + i));
  expect_silence();
}

TEST_F(TcpRecoveryTest, DataOfTheGuestIsNoDuplicate) {
  establish_without_sack();
  send_segments(8);
  for (int i = 0; i < 5; ++i) guest_says("talks");
  for (const Segment& segment : seen()) EXPECT_TRUE(segment.data.empty());
}

TEST_F(TcpRecoveryTest, WithNothingUnderWayThereAreNoDuplicates) {
  establish_without_sack();
  for (int i = 0; i < 5; ++i) guest_acks(1);
  expect_silence();
  send_segments(4);
  guest_acks(at(0));
  expect_silence();
}

// ---- With SACK (RFC 6675) ----

TEST_F(TcpRecoveryTest, AReportOfThreeSegmentsIsALoss) {
  establish();
  send_segments(8);
  guest_reports(1, {{2, 5}});
  EXPECT_EQ(repeated(), (Ranges{{1, 2}}));
}

TEST_F(TcpRecoveryTest, AReportOfTwoSegmentsMayBeReordering) {
  establish();
  send_segments(8);
  guest_reports(1, {{2, 4}});
  expect_silence();
  guest_reports(1, {{2, 5}});
  EXPECT_EQ(repeated(), (Ranges{{1, 2}}));
}

TEST_F(TcpRecoveryTest, AReportOnADataSegmentCounts) {
  establish();
  send_segments(8);
  Segment segment{.seq = 1, .ack = at(1), .data = bytes_of_text("talks")};
  segment.options.sack[segment.options.sack_count++] = {our_isn + at(2), our_isn + at(6)};
  send(segment);
  EXPECT_EQ(repeated(), (Ranges{{1, 2}}));
}

TEST_F(TcpRecoveryTest, AReportWithANewWindowCounts) {
  establish();
  send_segments(8);
  Segment segment{.seq = 1, .ack = at(0), .window = 7000};
  segment.options.sack[segment.options.sack_count++] = {our_isn + at(1), our_isn + at(2)};
  send(segment);
  expect_silence();
  segment.window = 6000;
  segment.options.sack[0] = {our_isn + at(1), our_isn + at(7)};
  send(segment);
  EXPECT_EQ(repeated(), (Ranges{{0, 1}}));
}

TEST_F(TcpRecoveryTest, AllGapsAreFilledOnce) {
  establish();
  send_segments(20);
  guest_reports(0, {{2, 5}});
  guest_reports(0, {{7, 10}, {2, 5}});
  guest_reports(0, {{12, 20}, {7, 10}, {2, 5}});
  Ranges all = repeated();
  std::vector<int> times(20);
  for (const auto& [left, right] : all) {
    for (std::uint32_t segment = left; segment < right; ++segment) ++times[segment];
  }
  const std::vector<int> expected{1, 1, 0, 0, 0, 1, 1, 0, 0, 0, 1, 1, 0, 0, 0, 0, 0, 0, 0, 0};
  EXPECT_EQ(times, expected);
  guest_acks(at(20));
  run_for(60 * kSec);
  expect_silence();
}

TEST_F(TcpRecoveryTest, NewDataFollowsWhileItRecovers) {
  establish();
  send_segments(8);
  guest_reports(0, {{1, 7}});
  EXPECT_EQ(repeated(), (Ranges{{0, 1}}));
  host_says(pattern(10 * kMss));
  std::size_t fresh = 0;
  for (const Segment& segment : seen()) fresh += segment.seq >= at(8) ? 1 : 0;
  EXPECT_GE(fresh, 1U);
}

TEST_F(TcpRecoveryTest, AReportOfWhatWasNeverSentIsIgnored) {
  establish();
  send_segments(4);
  guest_reports(1, {{5, 9}});
  guest_reports(1, {{0, 1}});
  Segment nonsense{.seq = 1, .ack = at(1)};
  nonsense.options.sack[nonsense.options.sack_count++] = {our_isn + at(3), our_isn + at(2)};
  nonsense.options.sack[nonsense.options.sack_count++] = {our_isn + at(2) - 0x8000'0000, our_isn + at(3)};
  send(nonsense);
  expect_silence();
  guest_acks(at(4));
  run_for(10 * kSec);
  expect_silence();
}

TEST_F(TcpRecoveryTest, WithoutSackReportsAreIgnored) {
  establish_without_sack();
  send_segments(8);
  guest_reports(1, {{2, 8}});
  expect_silence();
}

TEST_F(TcpRecoveryTest, ALostFinIsSentAgainWithTheLostData) {
  establish();
  said = pattern(4 * kMss);
  (void)host_writes(said);
  host_ends();
  seen();
  for (int i = 0; i < 3; ++i) guest_acks(at(3));
  run_for(3 * kSec);
  const auto again = seen();
  ASSERT_FALSE(again.empty());
  std::uint32_t end = 0;
  for (const Segment& segment : again) end = std::max(end, segment.end());
  EXPECT_EQ(again.front().seq, at(3));
  EXPECT_EQ(end, at(4) + 1);
}

TEST_F(TcpRecoveryTest, AReportOfTheFinIsUnderstood) {
  establish();
  said = pattern(4 * kMss);
  (void)host_writes(said);
  host_ends();
  seen();
  Segment report{.seq = 1, .ack = at(0)};
  report.options.sack[report.options.sack_count++] = {our_isn + at(1), our_isn + at(4) + 1};
  send(report);
  EXPECT_EQ(repeated(), (Ranges{{0, 1}}));
  run_for(kSec);
  seen();
  guest_acks(at(4) + 1);
  run_for(60 * kSec);
  expect_silence();
  guest_ends();
  EXPECT_EQ(only_end(), End::finished);
}

TEST_F(TcpRecoveryTest, WhatFoundNoRoomIsSentAgainWhenThereIs) {
  establish();
  send_segments(8);
  wire.frames_of_room = 0;
  guest_reports(1, {{2, 8}});
  expect_silence();
  give_room(std::nullopt);
  EXPECT_EQ(repeated(), (Ranges{{1, 2}}));
}

TEST_F(TcpRecoveryTest, LargeFramesAreRepeatedInLargeFrames) {
  wire.can = {.csum = true, .tso4 = true, .tso6 = false, .uso = false};
  establish();
  said = pattern(200 * kMss);
  host_says(said);
  seen();
  guest_reports(0, {{40, 190}});
  const auto again = seen();
  ASSERT_FALSE(again.empty());
  EXPECT_GE(again.front().data.size(), 30 * kMss);
  EXPECT_EQ(again.front().offload.gso_size, kMss);
  EXPECT_EQ(again.front().data,
            Bytes(said.begin(), said.begin() + static_cast<std::ptrdiff_t>(again.front().data.size())));
}

// ---- Congestion window (RFC 5681) ----

TEST(CongestionTest, GrowsByWhatIsAcknowledgedAndThenByASegmentAWindow) {
  Congestion congestion;
  const std::uint32_t first = congestion.window();
  congestion.on_acked(10'000, kMss);
  EXPECT_EQ(congestion.window(), first + 10'000);
  congestion.on_loss(100 * kMss, kMss);
  EXPECT_EQ(congestion.window(), 50 * kMss);
  congestion.on_acked(50 * kMss, kMss);
  EXPECT_EQ(congestion.window(), 51 * kMss);
  congestion.on_acked(50 * kMss, kMss);
  EXPECT_EQ(congestion.window(), 51 * kMss);
}

TEST(CongestionTest, ATimeoutBeginsWithOneSegment) {
  Congestion congestion;
  congestion.on_timeout(100 * kMss, kMss);
  EXPECT_EQ(congestion.window(), kMss);
  congestion.on_acked(kMss, kMss);
  EXPECT_EQ(congestion.window(), 2 * kMss);
}

TEST(CongestionTest, HasALeastAndAGreatest) {
  Congestion congestion;
  congestion.on_loss(0, kMss);
  EXPECT_EQ(congestion.window(), 2 * kMss);
  Congestion greedy;
  for (int i = 0; i < 100; ++i) greedy.on_acked(0x7fff'ffff, kMss);
  EXPECT_EQ(greedy.window(), Congestion::kMaxWindow);
}

// ---- Round trips ----

TEST(RoundTripTest, BeginsWithASecond) { EXPECT_EQ(RoundTrip().timeout_ns(), kSec); }

TEST(RoundTripTest, HasALeastAndAGreatest) {
  RoundTrip trip;
  for (int i = 0; i < 20; ++i) trip.sample(1000);
  EXPECT_EQ(trip.timeout_ns(), 200 * kMs);
  for (int i = 0; i < 40; ++i) trip.back_off();
  EXPECT_EQ(trip.timeout_ns(), 60 * kSec);
  trip.reset_backoff();
  EXPECT_EQ(trip.timeout_ns(), 200 * kMs);
}

TEST(RoundTripTest, FollowsTheRfc) {
  RoundTrip trip;
  trip.sample(800 * kMs);
  EXPECT_EQ(trip.timeout_ns(), (800 + 4 * 400) * kMs);
  trip.sample(400 * kMs);
  EXPECT_EQ(trip.timeout_ns(), (750 + 4 * 400) * kMs);
}

}  // namespace
}  // namespace microagent::netstack
