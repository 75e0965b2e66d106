// How UDP flows end, and what happens when there are too many.

#include "netstack/testing/datagram_fixture.h"

namespace microagent::netstack {
namespace {

using namespace testing;

class UdpEndsTest : public DatagramFixture {};

TEST_F(UdpEndsTest, EndsWhenIdle) {
  Fd host;
  const FlowId flow = splice_pair(host);
  run_for(119 * kSecond);
  EXPECT_EQ(stack->counters().flows, 1U);
  send_udp("still here");
  run_for(119 * kSecond);
  host_says(host, pattern(3));
  run_for(119 * kSecond);
  EXPECT_EQ(stack->counters().flows, 1U);
  run_for(kSecond);
  EXPECT_EQ(stack->counters().flows, 0U);
  ASSERT_EQ(upcalls.ends.size(), 1U);
  EXPECT_EQ(upcalls.ends[0].flow, flow);
  EXPECT_EQ(upcalls.ends[0].totals.end, End::timed_out);
  EXPECT_EQ(upcalls.ends[0].totals.bytes_out, 5 + 10U);
  EXPECT_EQ(upcalls.ends[0].totals.bytes_in, 3U);
  EXPECT_EQ(upcalls.ends[0].totals.duration_us, 358'000'000U);
  EXPECT_TRUE(upcalls.watched.empty());
  EXPECT_EQ(stack->next_deadline(), std::nullopt);
}

TEST_F(UdpEndsTest, EndsSoonerForDns) {
  Fd host;
  splice_pair(host, ends(kGuestPort, 53));
  run_for(30 * kSecond);
  EXPECT_EQ(stack->counters().flows, 0U);
}

TEST_F(UdpEndsTest, WakesRarelyWhileFlowsAreInUse) {
  Fd host;
  splice_pair(host);
  const auto deadline = stack->next_deadline();
  for (int i = 0; i < 50; ++i) {
    advance(kSecond);
    send_udp("in use");
    EXPECT_EQ(stack->next_deadline(), deadline);
  }
}

TEST_F(UdpEndsTest, GivesUpAVerdictThatNeverComes) {
  send_udp("one");
  run_for(120 * kSecond);
  EXPECT_EQ(stack->counters().flows, 0U);
  EXPECT_TRUE(upcalls.ends.empty());
}

TEST_F(UdpEndsTest, EndsWithTheHost) {
  for (const int type : {SOCK_SEQPACKET, SOCK_DGRAM}) {
    Fd host;
    splice_pair(host, ends(), type);
    upcalls.ends.clear();
    host.reset();
    descriptor_events(EPOLLIN | EPOLLHUP | EPOLLRDHUP);
    send_udp("anybody?");
    ASSERT_EQ(upcalls.ends.size(), 1U);
    EXPECT_EQ(upcalls.ends[0].totals.end, End::finished);
    EXPECT_TRUE(upcalls.watched.empty());
    // The guest is told nothing; its next datagram begins anew.
    send_udp("again");
    EXPECT_EQ(upcalls.opened.back().guest.port, kGuestPort);
    stack->on_drop(upcalls.opened.back().flow);
    run_for(kSecond);
    expect_silence();
  }
}

TEST_F(UdpEndsTest, EndsWithTheGuestsSocket) {
  Fd host;
  splice_pair(host);
  host_says(host, pattern(5));
  refuse_as_guest(only(), kGuest);
  ASSERT_EQ(upcalls.ends.size(), 1U);
  EXPECT_EQ(upcalls.ends[0].totals.end, End::guest_reset);
  EXPECT_EQ(heard_by(host), "");
}

TEST_F(UdpEndsTest, BelievesOnlyErrorsAboutItsFlows) {
  Fd host;
  splice_pair(host);
  host_says(host, pattern(5));
  Parsed datagram = only();
  datagram.payload[1] ^= 1;  // from another port
  refuse_as_guest(datagram, kGuest);
  EXPECT_TRUE(upcalls.ends.empty());
}

TEST_F(UdpEndsTest, EndsWhenKilled) {
  Fd host;
  const FlowId flow = splice_pair(host);
  stack->kill(flow + 4);
  EXPECT_TRUE(upcalls.ends.empty());
  stack->kill(flow);
  ASSERT_EQ(upcalls.ends.size(), 1U);
  EXPECT_EQ(upcalls.ends[0].totals.end, End::killed);
  stack->kill(flow);
  EXPECT_EQ(upcalls.ends.size(), 1U);
}

TEST_F(UdpEndsTest, IsSilentOnceSevered) {
  Fd host, pending;
  splice_pair(host);
  send_udp("waits", ends(5000));
  const FlowId waiting = upcalls.opened.back().flow;
  stack->sever();
  ASSERT_EQ(upcalls.ends.size(), 1U);
  EXPECT_EQ(upcalls.ends[0].totals.end, End::killed);
  EXPECT_EQ(stack->counters().flows, 0U);
  send_udp("more");
  stack->on_splice(waiting, make_pair(SOCK_SEQPACKET, pending));
  EXPECT_EQ(heard_by(pending), "");
  stack->dial(77, Protocol::udp, 53, make_pair(SOCK_DGRAM, pending), {});
  EXPECT_EQ(upcalls.ends.back().totals.end, End::killed);
  EXPECT_EQ(upcalls.opened.size(), 2U);
  expect_silence();
}

TEST_F(UdpEndsTest, GivesTheOldestPlaceToANewFlow) {
  config.max_flows = 8;
  restart();
  std::array<Fd, 4> hosts;
  std::array<FlowId, 4> flows{};
  for (std::uint16_t i = 0; i < 4; ++i) {
    flows[i] = splice_pair(hosts[i], ends(static_cast<std::uint16_t>(1000 + i)));
    advance(kMillisecond);
  }
  send_udp("in use", ends(1000));
  advance(kMillisecond);
  EXPECT_TRUE(upcalls.ends.empty());
  send_udp("the fifth", ends(2000));
  EXPECT_EQ(stack->counters().flows, 4U);
  ASSERT_EQ(upcalls.ends.size(), 1U);
  EXPECT_EQ(upcalls.ends[0].flow, flows[1]);
  EXPECT_EQ(upcalls.ends[0].totals.end, End::no_resources);
}

TEST_F(UdpEndsTest, BoundsAFlood) {
  config.max_flows = 64;
  restart();
  for (int i = 0; i < 10'000; ++i) {
    send_udp("x", ends(static_cast<std::uint16_t>(1 + i), static_cast<std::uint16_t>(1 + i % 60'000)));
  }
  EXPECT_EQ(stack->counters().flows, 32U);
  run_for(121 * kSecond);
  EXPECT_EQ(stack->counters().flows, 0U);
}

}  // namespace
}  // namespace microagent::netstack
