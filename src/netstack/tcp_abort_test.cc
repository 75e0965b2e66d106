// How connections end before their time: resets, the operator, and silence.

#include "netstack/testing/tcp_fixture.h"

namespace microagent::netstack {
namespace {

using namespace testing;

class TcpAbortTest : public TcpFixture {};

// ---- Resets ----

TEST_F(TcpAbortTest, TheGuestsResetIsTheHosts) {
  establish();
  send({.flags = kRst, .seq = 1});
  EXPECT_TRUE(host_sees_reset());
  EXPECT_EQ(only_end(), End::guest_reset);
  EXPECT_EQ(counters.flows, 0U);
  expect_silence();
}

TEST_F(TcpAbortTest, TheHostsResetIsTheGuests) {
  establish();
  host_says("abc");
  guest_hears();
  host_resets();
  const Segment reset = only();
  EXPECT_EQ(reset.flags, kRst | kAck);
  EXPECT_EQ(reset.seq, 4U);
  EXPECT_EQ(reset.ack, 1U);
  EXPECT_EQ(only_end(), End::host_reset);
  EXPECT_EQ(counters.flows, 0U);
}

TEST_F(TcpAbortTest, AResetAfterTheGuestsEndCutsTheHost) {
  establish();
  guest_ends();
  seen();
  EXPECT_TRUE(host_sees_end());
  send({.flags = kRst, .seq = 2});
  EXPECT_EQ(only_end(), End::guest_reset);
}

TEST_F(TcpAbortTest, AHostThatLeavesAUnixSocketUnreadIsAReset) {
  establish_unix();
  guest_says("unread");
  seen();
  host.reset();
  events(true);
  EXPECT_EQ(only().flags, kRst | kAck);
  EXPECT_EQ(only_end(), End::host_reset);
}

TEST_F(TcpAbortTest, AHostThatLeavesAUnixSocketIsAnEnd) {
  establish_unix();
  host.reset();
  events(true);
  EXPECT_EQ(only().kind(), kFin | kAck);
}

TEST_F(TcpAbortTest, SayingToAHostThatHasLeftIsAReset) {
  establish_unix();
  host.reset();
  events(true);
  guest_acks(only().end());
  guest_says("too late");
  EXPECT_EQ(last().flags, kRst | kAck);
  EXPECT_EQ(only_end(), End::host_reset);
}

// ---- kill, sever, drop ----

TEST_F(TcpAbortTest, KillWhileOpening) {
  const FlowId flow = open();
  EXPECT_TRUE(flows->kill(flow));
  EXPECT_EQ(only().flags, kRst | kAck);
  EXPECT_TRUE(upcalls.ends.empty());  // the verdict has still to come
  SocketPair pair = make_tcp_pair();
  host = std::move(pair.host);
  flows->on_splice(flow, std::move(pair.ours));
  EXPECT_EQ(upcalls.ends.size(), 1U);
  EXPECT_TRUE(host_sees_reset());
}

TEST_F(TcpAbortTest, KillDuringTheHandshake) {
  const FlowId flow = open();
  splice(flow, make_tcp_pair());
  seen();
  EXPECT_TRUE(flows->kill(flow));
  const Segment reset = only();
  EXPECT_EQ(reset.flags, kRst | kAck);
  EXPECT_EQ(reset.seq, 1U);
  EXPECT_EQ(reset.ack, 1U);
  EXPECT_EQ(only_end(), End::killed);
  EXPECT_TRUE(host_sees_reset());
}

TEST_F(TcpAbortTest, KillWhileEstablished) {
  const FlowId flow = establish();
  guest_says("abc");
  host_says("defg");
  seen();
  EXPECT_TRUE(flows->kill(flow));
  const Segment reset = only();
  EXPECT_EQ(reset.seq, 5U);
  EXPECT_EQ(reset.ack, 4U);
  EXPECT_EQ(only_end(), End::killed);
  EXPECT_EQ(host_hears_text(3), "abc");
  EXPECT_TRUE(host_sees_reset());
  EXPECT_FALSE(flows->kill(flow));
}

TEST_F(TcpAbortTest, KillWhileHalfClosed) {
  const FlowId flow = establish();
  guest_ends();
  seen();
  EXPECT_TRUE(flows->kill(flow));
  EXPECT_EQ(only().flags, kRst | kAck);
  EXPECT_EQ(only_end(), End::killed);
}

TEST_F(TcpAbortTest, KillWhileLingeringFindsNothing) {
  const FlowId flow = establish();
  close_by_host_first();
  seen();
  EXPECT_FALSE(flows->kill(flow));
  EXPECT_EQ(upcalls.ends.size(), 1U);
  expect_silence();
}

TEST_F(TcpAbortTest, SeverEndsAll) {
  const FlowId waiting = open();
  next_port();
  establish();
  next_port();
  splice(open(), make_tcp_pair());
  wire.take();
  environment.severed = true;
  flows->kill_all();
  EXPECT_EQ(wire.take().size(), 3U);
  EXPECT_EQ(upcalls.ends.size(), 2U);
  for (const auto& each : upcalls.ends) EXPECT_EQ(each.totals.end, End::killed);
  flows->on_refuse(waiting, Refusal::reset);
  EXPECT_EQ(counters.flows, 0U);
  EXPECT_TRUE(upcalls.watched.empty());
  send({.seq = 1, .ack = 1});
  send_syn();
  expect_silence();
}

TEST_F(TcpAbortTest, ADropOfWhatLivesIsAReset) {
  const FlowId flow = establish();
  flows->on_drop(flow);
  EXPECT_EQ(only().flags, kRst | kAck);
  EXPECT_EQ(only_end(), End::killed);
}

// ---- Silence (RFC 9293, 3.8.4) ----

TEST_F(TcpAbortTest, ASilentGuestIsAskedAndThenGivenUp) {
  establish();
  run_for(7199 * kSec);
  expect_silence();
  run_for(2 * kSec);
  const Segment probe = only();
  EXPECT_EQ(probe.flags, kAck);
  EXPECT_EQ(probe.seq, 0U);
  run_for(9 * 75 * kSec);
  EXPECT_EQ(only_end(), End::timed_out);
  EXPECT_EQ(last().flags, kRst | kAck);
  EXPECT_TRUE(host_sees_reset());
}

TEST_F(TcpAbortTest, AGuestThatAnswersIsKept) {
  establish();
  for (int i = 0; i < 5; ++i) {
    run_for(7201 * kSec);
    EXPECT_EQ(only().seq, 0U);
    send({.seq = 1, .ack = 1});
  }
  EXPECT_TRUE(upcalls.ends.empty());
  guest_says("here");
  EXPECT_EQ(host_hears_text(4), "here");
}

TEST_F(TcpAbortTest, ABusyConnectionIsNotAsked) {
  establish();
  for (int i = 0; i < 100; ++i) {
    run_for(600 * kSec);
    guest_says("x");
    expect_ack(guest_next);
  }
}

}  // namespace
}  // namespace microagent::netstack
