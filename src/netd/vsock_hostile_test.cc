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
  odd.type = 3;
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

TEST_F(VsockHostileTest, ADescriptorLoopStopsTheQueueAlone) {
  const std::uint64_t buffer = guest.ram.allocate(64);
  guest.tx.write_descriptor(0, {buffer, 64, wire::kDescriptorNext, 1});
  guest.tx.write_descriptor(1, {buffer, 64, wire::kDescriptorNext, 0});
  guest.tx.offer(0);
  turn();
  EXPECT_EQ(session->queue(1).take_fault(), virtio::RingFault::chain_too_long);
  EXPECT_TRUE(session->queue(0).running());
}

TEST_F(VsockHostileTest, AWritableBufferAmongThoseSentStopsTheQueueAlone) {
  const std::uint64_t buffer = guest.ram.allocate(128);
  ASSERT_TRUE(guest.tx.add(std::array{DriverBuffer{buffer, 64}, DriverBuffer{buffer + 64, 64, true}}));
  turn();
  EXPECT_EQ(session->queue(1).take_fault(), virtio::RingFault::wrong_direction);
  EXPECT_TRUE(session->queue(0).running());
}

// Receive buffers that cannot hold a packet with data: the one that is met stops the queue; sending goes on.
class VsockReceiveBufferTest : public VsockHostileTest {
 protected:
  void expect_stopped_by(const DriverBuffer& buffer, virtio::RingFault fault) {
    while (guest.rx.used_index() < 32) send(VsockOp::credit_update, 9000);  // uses the honest ones up
    ASSERT_TRUE(guest.rx.add(std::array{buffer}));
    send(VsockOp::credit_update, 9000);
    EXPECT_EQ(session->queue(0).take_fault(), fault);
    EXPECT_TRUE(session->queue(1).running());
    send(VsockOp::request);
    EXPECT_EQ(upcalls.opened.size(), 1U);
  }
};

TEST_F(VsockReceiveBufferTest, OfTheWrongDirection) {
  expect_stopped_by({guest.ram.allocate(4096), 4096, false}, virtio::RingFault::wrong_direction);
}

TEST_F(VsockReceiveBufferTest, WithRoomForAHeaderOnly) {
  expect_stopped_by({guest.ram.allocate(64), sizeof(VsockHeader), true}, virtio::RingFault::header_missing);
}

TEST_F(VsockReceiveBufferTest, OutsideMemory) {
  expect_stopped_by({guest.ram.size() - 16, 4096, true}, virtio::RingFault::buffer_not_in_memory);
}

TEST_F(VsockHostileTest, AResponseToNoDial) {
  send(VsockOp::response);
  EXPECT_EQ(only().op(), VsockOp::reset);
  connect();
  send(VsockOp::response);
  expect_reset_and_gone(flow::End::guest_reset);
}

TEST_F(VsockHostileTest, ARequestWithThePortsOfADial) {
  flows->dial(flow::kDialledBit | 9, kGuestPort, make_host_end());
  turn();
  send(VsockOp::request, only().header.source_port);
  EXPECT_TRUE(upcalls.opened.empty());
  expect_reset_and_gone(flow::End::guest_reset);
}

TEST_F(VsockHostileTest, CreditRequestsAreAnsweredOnceForAllThatWait) {
  connect();
  while (guest.rx.used_index() < 32) send(VsockOp::credit_request);
  received();
  for (int i = 0; i < 1000; ++i) send(VsockOp::credit_request);
  guest.post_receive(32);
  turn();
  EXPECT_EQ(only().op(), VsockOp::credit_update);
}

TEST_F(VsockHostileTest, AShutdownThatShutsNothingChangesNothing) {
  connect();
  for (const std::uint32_t flags : {0U, 4U, 0xfffffffcU}) {
    VsockHeader shutdown = header(VsockOp::shutdown);
    shutdown.flags = flags;
    send(shutdown);
  }
  send_data("still here");
  EXPECT_EQ(host_reads(), "still here");
}

TEST_F(VsockHostileTest, DataOfNoLengthCostsNothing) {
  connect();
  for (int i = 0; i < 1000; ++i) send(VsockOp::rw);
  EXPECT_TRUE(received().empty());
  EXPECT_EQ(host_reads(), "");
  EXPECT_EQ(flows->size(), 1U);
}

TEST_F(VsockHostileTest, CreditTakenBackStopsTheHostsDataAndNothingElse) {
  connect();
  VsockHeader update = header(VsockOp::credit_update);
  update.buffer_size = 0;
  send(update);
  host_writes("data");
  EXPECT_EQ(only().op(), VsockOp::credit_request);
  // The guest's own data goes on all the same.
  VsockHeader data = header(VsockOp::rw);
  data.buffer_size = 0;
  data.length = 3;
  send(data, "out");
  EXPECT_EQ(host_reads(), "out");
  update.buffer_size = 2;
  send(update);
  EXPECT_EQ(received().front().data, "da");
}

TEST_F(VsockHostileTest, TheTypeOfALiveConnectionChanges) {
  connect();
  VsockHeader data = header(VsockOp::rw);
  data.type = wire::kVsockSeqpacketType;
  send(data);
  expect_reset_and_gone(flow::End::guest_reset);
}

TEST_F(VsockHostileTest, LargeBuffersAreForAFewOnly) {
  for (std::uint32_t port = 0; port <= VsockFlows::kMaxLargeBuffers; ++port) {
    send(VsockOp::request, port);
    flows->on_splice(upcalls.opened.back().first, make_host_end());
    turn();
    const Packet response = only();
    guest.post_receive(1);
    ASSERT_EQ(response.op(), VsockOp::response);
    const bool large = port < VsockFlows::kMaxLargeBuffers;
    EXPECT_EQ(response.header.buffer_size, large ? kVsockBuffer : kVsockSmallBuffer) << port;
  }
  send_data(std::string(kVsockSmallBuffer + 1, 'x'), VsockFlows::kMaxLargeBuffers);
  EXPECT_EQ(only().op(), VsockOp::reset) << "the small one is the limit";
  send(VsockOp::reset, 0);
  send(VsockOp::request, 5000);
  flows->on_splice(upcalls.opened.back().first, make_host_end());
  turn();
  EXPECT_EQ(only().header.buffer_size, kVsockBuffer) << "one has become free";
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
