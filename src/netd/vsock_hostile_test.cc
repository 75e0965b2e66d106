// Guests that lie, storm, reuse and overrun. Each case also shows that the harm stays with the one stream or queue.

#include "netd/testing/vsock_fixture.h"

namespace microagent::netd {
namespace {

using namespace testing;

class VsockHostileTest : public VsockFlowsTest {};

TEST_F(VsockHostileTest, ForeignSourceCid) {
  VsockHeader request = header(VsockOp::request);
  request.source_cid = kCid + 1;
  send(request);
  EXPECT_TRUE(upcalls.opened.empty());
  EXPECT_TRUE(received().empty());
  EXPECT_EQ(flows->counters().foreign, 1U);
}

TEST_F(VsockHostileTest, ForeignDestinationCid) {
  VsockHeader request = header(VsockOp::request);
  request.destination_cid = 9;
  send(request);
  EXPECT_TRUE(upcalls.opened.empty());
  EXPECT_TRUE(received().empty());
}

TEST_F(VsockHostileTest, DataBeyondTheCreditGiven) {
  connect();
  const std::string block(kVsockBuffer + 1, 'x');
  send_data(block);
  EXPECT_EQ(flows->counters().against_rules, 1U);
  expect_reset_and_gone(flow::End::guest_reset);
}

TEST_F(VsockHostileTest, ForwardedCountAheadOfWhatWasSent) {
  connect();
  guest.forwarded = 1;
  send(VsockOp::credit_update);
  expect_reset_and_gone(flow::End::guest_reset);
}

TEST_F(VsockHostileTest, ForwardedCountGoesBack) {
  connect();
  host_writes("12345678");
  guest.forwarded = 8;
  send(VsockOp::credit_update);
  EXPECT_EQ(received().size(), 1U);
  guest.forwarded = 4;
  send(VsockOp::credit_update);
  expect_reset_and_gone(flow::End::guest_reset);
}

TEST_F(VsockHostileTest, HugeBufferIsOnlyACredit) {
  connect();
  VsockHeader update = header(VsockOp::credit_update);
  update.buffer_size = 0xffffffff;
  send(update);
  host_writes("ok");
  EXPECT_EQ(only().data, "ok");
}

TEST_F(VsockHostileTest, LengthPastTheBuffer) {
  connect();
  VsockHeader data = header(VsockOp::rw);
  data.length = 1000;
  send(data, "short");
  expect_reset_and_gone(flow::End::guest_reset);
  EXPECT_EQ(host_reads(), "");
}

TEST_F(VsockHostileTest, DataOnAClosedStream) {
  connect();
  VsockHeader shutdown = header(VsockOp::shutdown);
  shutdown.flags = wire::kVsockShutdownSend;
  send(shutdown);
  send_data("too late");
  expect_reset_and_gone(flow::End::guest_reset);
}

TEST_F(VsockHostileTest, DataWithoutAStream) {
  send_data("who are you");
  EXPECT_EQ(only().op(), VsockOp::reset);
}

TEST_F(VsockHostileTest, ResetWithoutAStreamIsNotAnswered) {
  send(VsockOp::reset);
  EXPECT_TRUE(received().empty());
}

TEST_F(VsockHostileTest, RequestReusesThePortsOfALiveStream) {
  connect();
  send(VsockOp::request);
  EXPECT_EQ(upcalls.opened.size(), 1U);
  expect_reset_and_gone(flow::End::guest_reset);
  send(VsockOp::request);
  EXPECT_EQ(upcalls.opened.size(), 2U) << "and then they are free";
}

TEST_F(VsockHostileTest, DataBeforeTheVerdict) {
  send(VsockOp::request);
  send_data("early");
  EXPECT_EQ(only().op(), VsockOp::reset);
  EXPECT_EQ(flows->size(), 0U);
  flows->on_splice(upcalls.opened[0].first, make_host_end());
  ASSERT_EQ(upcalls.closed.size(), 1U) << "whoever made the descriptor hears of its end";
  EXPECT_TRUE(host_at_end());
}

TEST_F(VsockHostileTest, AnswersBeforeTheDialIsAccepted) {
  flows->dial(flow::kDialledBit | 9, kGuestPort, make_host_end());
  turn();
  send_data("early", only().header.source_port);
  expect_reset_and_gone(flow::End::guest_reset);
}

TEST_F(VsockHostileTest, UnknownOperationAndType) {
  connect();
  VsockHeader odd = header(VsockOp::rw);
  odd.op = 99;
  send(odd);
  expect_reset_and_gone(flow::End::guest_reset);
  odd = header(VsockOp::request);
  odd.type = 2;
  send(odd);
  EXPECT_EQ(only().op(), VsockOp::reset);
}

TEST_F(VsockHostileTest, AStormThatIsAnsweredByResetsIsBoundedByNotReading) {
  for (int i = 0; i < 32; ++i) send(VsockOp::credit_update);
  EXPECT_EQ(guest.rx.used_index(), 32) << "no buffer is left";
  std::size_t taken = 0;
  for (std::uint32_t port = 0; port < 3 * VsockFlows::kMaxReplies; ++port) {
    if (!guest.offer(header(VsockOp::credit_update, port))) break;
    taken += flows->receive(128);
    flows->pump();
    device->flush();
  }
  EXPECT_EQ(taken, VsockFlows::kMaxReplies);
  EXPECT_TRUE(flows->blocked());
  received();
  guest.post_receive(64);
  turn();
  EXPECT_EQ(received().size(), 64U);
}

TEST_F(VsockHostileTest, MoreStreamsThanAllowed) {
  for (std::uint32_t port = 0; port < VsockFlows::kMaxConnections; ++port) send(VsockOp::request, port);
  EXPECT_EQ(upcalls.opened.size(), VsockFlows::kMaxConnections);
  EXPECT_TRUE(received().empty());
  send(VsockOp::request, 5000);
  EXPECT_EQ(upcalls.opened.size(), VsockFlows::kMaxConnections);
  EXPECT_EQ(only().op(), VsockOp::reset);
  flows->dial(flow::kDialledBit | 1, 1021, make_host_end());
  EXPECT_EQ(upcalls.closed.back().second.end, flow::End::no_resources);
}

TEST_F(VsockHostileTest, SeveredForGood) {
  connect();
  flows->sever();
  turn();
  expect_reset_and_gone(flow::End::killed);
  send(VsockOp::request);
  EXPECT_EQ(upcalls.opened.size(), 1U);
  EXPECT_EQ(only().op(), VsockOp::reset);
  flows->dial(flow::kDialledBit | 1, 1021, make_host_end());
  EXPECT_EQ(upcalls.closed.back().second.end, flow::End::killed);
}

TEST_F(VsockHostileTest, PacketsThatAreNoPacketsStopTheQueueAlone) {
  ASSERT_TRUE(guest.tx.add(std::array{DriverBuffer{guest.ram.allocate(64), 43}}));
  turn();
  EXPECT_FALSE(session->queue(1).running());
  EXPECT_EQ(session->queue(1).take_fault(), virtio::RingFault::header_missing);
  EXPECT_TRUE(session->queue(0).running());
}

TEST_F(VsockHostileTest, TheDriverGoesAway) {
  connect();
  flows->reset();
  EXPECT_EQ(flows->size(), 0U);
  EXPECT_EQ(upcalls.closed[0].second.end, flow::End::guest_reset);
  EXPECT_TRUE(host_at_end());
}

}  // namespace
}  // namespace microagent::netd
