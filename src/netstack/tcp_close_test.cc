// How connections end in order: FINs of either side, with all data before them.

#include "netstack/testing/tcp_fixture.h"

namespace microagent::netstack {
namespace {

using namespace testing;

class TcpCloseTest : public TcpFixture {};

TEST_F(TcpCloseTest, TheGuestsEndIsTheHosts) {
  establish();
  guest_ends();
  expect_ack(2);
  EXPECT_TRUE(host_sees_end());
  EXPECT_TRUE(upcalls.ends.empty());
}

TEST_F(TcpCloseTest, AfterTheGuestsEndTheHostMayStillSpeak) {
  establish();
  guest_ends();
  seen();
  events();
  host_says("the answer");
  EXPECT_EQ(text_of(guest_hears()), "the answer");
  host_ends();
  EXPECT_EQ(only().kind(), kFin | kAck);
  guest_acks(guest_heard + 1);
  EXPECT_EQ(only_end(), End::finished);
  EXPECT_EQ(counters.flows, 0U);
  expect_silence();
}

TEST_F(TcpCloseTest, AfterTheHostsEndTheGuestMayStillSpeak) {
  establish();
  host_ends();
  guest_acks(only().end());
  guest_says("more");
  EXPECT_EQ(host_hears_text(4), "more");
  expect_ack(5);
  guest_ends();
  EXPECT_TRUE(host_sees_end());
  EXPECT_EQ(only_end(), End::finished);
}

TEST_F(TcpCloseTest, AHalfClosedConnectionMayStayForHours) {
  establish();
  host_ends();
  guest_acks(only().end());
  for (int i = 0; i < 10; ++i) {
    run_for(3600 * kSec);
    guest_says("x");
  }
  EXPECT_TRUE(upcalls.ends.empty());
  EXPECT_EQ(host_hears(10).size(), 10U);
}

TEST_F(TcpCloseTest, WhoEndedFirstLingers) {
  establish();
  close_by_guest_first();
  EXPECT_EQ(only_end(), End::finished);
  EXPECT_EQ(flows->next_deadline(), std::nullopt);
  next_port();
  upcalls.ends.clear();
  establish();
  close_by_host_first();
  EXPECT_EQ(only_end(), End::finished);
  EXPECT_NE(flows->next_deadline(), std::nullopt);
}

TEST_F(TcpCloseTest, TotalsAreRight) {
  establish();
  guest_says(pattern(5000));
  seen();
  EXPECT_EQ(host_hears(5000).size(), 5000U);
  host_says(pattern(7000));
  guest_hears();
  advance(1500 * kMs);
  close_by_guest_first();
  const FlowTotals totals = only_totals();
  EXPECT_EQ(totals.bytes_out, 5000U);
  EXPECT_EQ(totals.bytes_in, 7000U);
  EXPECT_EQ(totals.duration_us, 1'500'000U);
}

TEST_F(TcpCloseTest, AFinWithDataIsDataFirst) {
  establish();
  send({.flags = kFin | kAck, .seq = 1, .ack = 1, .data = bytes_of_text("last")});
  expect_ack(6);
  EXPECT_EQ(host_hears_text(4), "last");
  EXPECT_TRUE(host_sees_end());
}

TEST_F(TcpCloseTest, AnEarlyFinWaitsForItsTurn) {
  establish();
  send({.flags = kFin | kAck, .seq = 5, .ack = 1});
  expect_ack(1);
  EXPECT_TRUE(host_drains().empty());
  send({.seq = 1, .ack = 1, .data = bytes_of_text("data")});
  expect_ack(6);
  EXPECT_EQ(host_hears_text(4), "data");
  EXPECT_TRUE(host_sees_end());
}

TEST_F(TcpCloseTest, AnEarlyFinWithDataWaitsForItsTurn) {
  establish();
  send({.flags = kFin | kAck, .seq = 5, .ack = 1, .data = bytes_of_text("tail")});
  EXPECT_EQ(expect_ack(1).options.sack_count, 1);
  send({.seq = 1, .ack = 1, .data = bytes_of_text("data")});
  expect_ack(10);
  EXPECT_EQ(host_hears_text(8), "datatail");
  EXPECT_TRUE(host_sees_end());
}

TEST_F(TcpCloseTest, AFinAgainIsAcknowledgedAgain) {
  establish();
  guest_ends();
  expect_ack(2);
  send({.flags = kFin | kAck, .seq = 1, .ack = 1});
  expect_ack(2);
  EXPECT_TRUE(host_sees_end());
}

TEST_F(TcpCloseTest, DataBehindTheFinIsNoData) {
  establish();
  send({.flags = kFin | kAck, .seq = 5, .ack = 1});
  send({.seq = 1, .ack = 1, .data = bytes_of_text("datamore")});
  EXPECT_EQ(last().ack, 6U);
  EXPECT_EQ(host_hears_text(4), "data");
  EXPECT_TRUE(host_sees_end());
  send({.seq = 6, .ack = 1, .data = bytes_of_text("more")});
  expect_ack(6);
}

TEST_F(TcpCloseTest, WaitingDataBehindTheFinIsNoData) {
  establish();
  send({.seq = 4, .ack = 1, .data = bytes_of_text("amore")});
  send({.flags = kFin | kAck, .seq = 5, .ack = 1});
  send({.seq = 1, .ack = 1, .data = bytes_of_text("dat")});
  EXPECT_EQ(last().ack, 6U);
  EXPECT_EQ(host_hears_text(4), "data");
  EXPECT_TRUE(host_sees_end());
}

TEST_F(TcpCloseTest, AFinBeforeWhatCameIsNone) {
  establish();
  guest_says("0123456789");
  seen();
  send({.flags = kFin | kAck, .seq = 4, .ack = 1});
  expect_ack(11);
  guest_says("more");
  EXPECT_EQ(host_hears_text(14), "0123456789more");
  guest_ends();
  EXPECT_TRUE(host_sees_end());
}

TEST_F(TcpCloseTest, AFinIsNotAcknowledgedBeforeTheHostHasAll) {
  establish_unix();
  fill_host();
  const std::uint32_t said = guest_next - 1;
  guest_ends();
  expect_silence();
  send({.flags = kFin | kAck, .seq = guest_next - 1, .ack = 1});
  EXPECT_LT(only().ack, guest_next - 1);
  const Bytes heard = host_drains();
  EXPECT_LT(heard.size(), said);
  events(true);
  EXPECT_EQ(last().ack, guest_next);
  const Bytes rest = host_drains();
  EXPECT_EQ(heard.size() + rest.size(), said);
  EXPECT_TRUE(host_sees_end());
}

TEST_F(TcpCloseTest, AFinIsAcknowledgedThoughOursWasAcknowledgedBefore) {
  establish_unix();
  fill_host();
  guest_ends();
  host_ends();
  EXPECT_TRUE(last().has(kFin));
  guest_acks(2);
  seen();
  host_drains();
  events(true);
  EXPECT_EQ(last().ack, guest_next);
  EXPECT_EQ(only_end(), End::finished);
}

TEST_F(TcpCloseTest, OurFinIsSentAgain) {
  establish();
  host_ends();
  const Segment fin = only();
  run_for(kSec);
  const auto again = seen();
  ASSERT_FALSE(again.empty());
  EXPECT_EQ(again.front().kind(), kFin | kAck);
  EXPECT_EQ(again.front().seq, fin.seq);
  guest_acks(2);
  run_for(60 * kSec);
  expect_silence();
}

TEST_F(TcpCloseTest, OurFinWithDataIsSentAgain) {
  establish();
  (void)host_writes(bytes_of_text("last"));
  host_ends();
  seen();
  run_for(kSec);
  std::string text;
  std::uint32_t end = 0;
  for (const Segment& segment : seen()) {
    if (segment.seq == 1) text = text_of(segment.data);
    end = std::max(end, segment.end());
  }
  EXPECT_EQ(text, "last");
  EXPECT_EQ(end, 6U);
  guest_acks(5);  // without the FIN
  run_for(2 * kSec);
  const auto again = seen();
  ASSERT_FALSE(again.empty());
  EXPECT_EQ(again.front().kind(), kFin | kAck);
  EXPECT_EQ(again.front().seq, 5U);
  EXPECT_TRUE(again.front().data.empty());
}

TEST_F(TcpCloseTest, BothMayEndAtOnce) {
  establish();
  host_ends();
  EXPECT_EQ(only().kind(), kFin | kAck);
  guest_ends();  // crosses ours
  expect_ack(2);
  EXPECT_TRUE(upcalls.ends.empty());
  guest_acks(2);
  EXPECT_EQ(only_end(), End::finished);
}

// Also when ours had to be sent again before theirs came: we were first, so we linger.
TEST_F(TcpCloseTest, AFinOnceSentWasSent) {
  establish();
  wire.frames_of_room = 1;
  host_ends();
  seen();
  run_for(kSec);  // for want of room not sent again
  send({.flags = kFin | kAck, .seq = 1, .ack = 2});
  EXPECT_EQ(only_end(), End::finished);
  give_room(std::nullopt);
  seen();
  send({.flags = kFin | kAck, .seq = 1, .ack = 2});
  expect_ack(2);
}

TEST_F(TcpCloseTest, AnEndWithUnreadDataIsStillAnOrderlyOne) {
  establish();
  host_says("said, heard");
  guest_hears();
  guest_ends();
  host_ends();
  const auto segments = seen();
  guest_acks(segments.back().end());
  EXPECT_EQ(only_end(), End::finished);
  EXPECT_TRUE(host_sees_end());
}

TEST_F(TcpCloseTest, ADescriptorsLateEventIsNotAboutTheNextConnection) {
  establish();
  const std::uint64_t token = upcalls.watched.begin()->second;
  send({.flags = kRst, .seq = 1});
  next_port();
  establish();
  flows->on_descriptor(token, 0x1f);
  expect_silence();
  EXPECT_EQ(upcalls.ends.size(), 1U);
}

TEST_F(TcpCloseTest, AfterManyConnectionsNothingIsLeft) {
  for (int i = 0; i < 2000; ++i, next_port()) {
    establish_unix();
    guest_says("request");
    host_hears(7);
    host_says("response");
    i % 2 == 0 ? close_by_guest_first() : static_cast<void>(send({.flags = kRst, .seq = guest_next}));
    seen();
    host.reset();
  }
  EXPECT_EQ(upcalls.ends.size(), 2000U);
  EXPECT_EQ(counters.flows, 0U);
  EXPECT_TRUE(upcalls.watched.empty());
  EXPECT_EQ(flows->next_deadline(), std::nullopt);
}

}  // namespace
}  // namespace microagent::netstack
