// SOCK_SEQPACKET: messages stay apart in both directions.

#include "netd/testing/vsock_fixture.h"

namespace microagent::netd {
namespace {

using namespace testing;

class VsockPacketsTest : public VsockFlowsTest {
 protected:
  VsockHeader header(VsockOp op, std::uint32_t flags = 0) const {
    VsockHeader out = VsockFlowsTest::header(op);
    out.type = wire::kVsockSeqpacketType;
    out.flags = flags;
    return out;
  }
  Fd make_host_end(int type = SOCK_SEQPACKET) {
    std::array<int, 2> ends{};
    EXPECT_EQ(::socketpair(AF_UNIX, type | SOCK_CLOEXEC | SOCK_NONBLOCK, 0, ends.data()), 0);
    host.reset(ends[0]);
    return Fd(ends[1]);
  }
  void connect() {
    send(header(VsockOp::request));
    ASSERT_FALSE(upcalls.opened.empty());
    EXPECT_EQ(upcalls.last_kind, VsockKind::packets);
    flows->on_splice(upcalls.opened.back().first, make_host_end());
    turn();
    const Packet response = only();
    ASSERT_EQ(response.op(), VsockOp::response);
    EXPECT_EQ(response.header.type, wire::kVsockSeqpacketType);
  }
  void send_part(std::string_view data, std::uint32_t flags) {
    VsockHeader out = header(VsockOp::rw, flags);
    out.length = static_cast<std::uint32_t>(data.size());
    send(out, data);
  }
};

TEST_F(VsockPacketsTest, AMessageReachesTheHostWhole) {
  connect();
  send_part("one ", 0);
  EXPECT_EQ(host_reads(), "");
  send_part("message", wire::kVsockEndOfMessage);
  send_part("another", wire::kVsockEndOfMessage | wire::kVsockEndOfRecord);
  EXPECT_EQ(host_reads(), "one message");
  EXPECT_EQ(host_reads(), "another");
}

TEST_F(VsockPacketsTest, AMessageReachesTheGuestInPacketsOfWhichTheLastSaysSo) {
  connect();
  const std::string message(10'000, 'm');
  host_writes(message);
  host_writes("short");
  const auto packets = received();
  ASSERT_EQ(packets.size(), 4U);
  EXPECT_EQ(packets[0].data + packets[1].data + packets[2].data, message);
  EXPECT_EQ(packets[0].header.flags, 0U);
  EXPECT_EQ(packets[1].header.flags, 0U);
  EXPECT_EQ(packets[2].header.flags, wire::kVsockEndOfMessage);
  EXPECT_EQ(packets[3].data, "short");
  EXPECT_EQ(packets[3].header.flags, wire::kVsockEndOfMessage);
}

TEST_F(VsockPacketsTest, AMessageWaitsForCreditForAllOfIt) {
  connect();
  const std::string message(40'000, 'm');
  host_writes(message);
  EXPECT_EQ(received().size(), 10U);
  guest.post_again(10);
  host_writes(message);
  EXPECT_EQ(only().op(), VsockOp::credit_request);
  guest.forwarded = 40'000;
  send(header(VsockOp::credit_update));
  EXPECT_EQ(received().size(), 10U);
}

TEST_F(VsockPacketsTest, AMessageWaitsForBuffersForAllOfIt) {
  connect();
  host_writes(std::string(30'000, 'm'));
  host_writes(std::string(30'000, 'm'));
  EXPECT_EQ(received().size(), 16U);
  guest.forwarded = 60'000;
  send(header(VsockOp::credit_update));
  host_writes(std::string(64'000, 'n'));
  EXPECT_TRUE(flows->blocked()) << "15 buffers are left, 16 are needed";
  EXPECT_TRUE(received().empty());
  guest.post_again(4);
  turn();
  EXPECT_EQ(received().size(), 16U);
}

TEST_F(VsockPacketsTest, AMessageThatTheGuestCanNeverTakeEndsTheConnection) {
  connect();
  host_writes(std::string(VsockGuest::kBuffer + 1, 'm'));
  expect_reset_and_gone(flow::End::host_reset);
}

TEST_F(VsockPacketsTest, BothSidesEndInOrder) {
  connect();
  send(header(VsockOp::shutdown, wire::kVsockShutdownSend));
  EXPECT_TRUE(host_at_end());
  host_writes("answer");
  EXPECT_EQ(only().data, "answer");
  ::shutdown(host.get(), SHUT_WR);
  descriptor_event(EPOLLIN | EPOLLRDHUP);
  const auto packets = received();
  ASSERT_EQ(packets.size(), 2U);
  EXPECT_EQ(packets[0].op(), VsockOp::shutdown);
  EXPECT_EQ(packets[0].header.type, wire::kVsockSeqpacketType);
  ASSERT_EQ(upcalls.closed.size(), 1U);
  EXPECT_EQ(upcalls.closed[0].second.end, flow::End::finished);
}

TEST_F(VsockPacketsTest, AMessageThatIsNeverFinishedIsNeverSent) {
  connect();
  send_part("half", 0);
  send(header(VsockOp::shutdown, wire::kVsockShutdownBoth));
  EXPECT_EQ(host_reads(), "");
  expect_reset_and_gone(flow::End::finished);
}

TEST_F(VsockPacketsTest, AMessageLargerThanTheCreditIsAgainstTheRules) {
  connect();
  send_part(std::string(kVsockBuffer, 'm'), 0);
  send_part("m", wire::kVsockEndOfMessage);
  EXPECT_EQ(flows->counters().against_rules, 1U);
  expect_reset_and_gone(flow::End::guest_reset);
}

TEST_F(VsockPacketsTest, EmptyMessagesThatNobodyTakesAreBounded) {
  connect();
  std::size_t sent = 0;
  for (; flows->size() == 1 && sent < 100'000; ++sent) send_part("", wire::kVsockEndOfMessage);
  EXPECT_LT(sent, 2 * MessageBacklog::kMaxMessages);
  expect_reset_and_gone(flow::End::guest_reset);
}

TEST_F(VsockPacketsTest, ADescriptorThatDoesNotKeepMessagesApartIsRefused) {
  send(header(VsockOp::request));
  flows->on_splice(upcalls.opened.back().first, make_host_end(SOCK_STREAM));
  turn();
  const Packet packet = only();
  EXPECT_EQ(packet.op(), VsockOp::reset);
  EXPECT_EQ(packet.header.type, wire::kVsockSeqpacketType);
  EXPECT_EQ(upcalls.closed.back().second.end, flow::End::no_resources);
}

TEST_F(VsockPacketsTest, AResetIsOfTheTypeThatWasAskedFor) {
  send_part("who are you", wire::kVsockEndOfMessage);
  EXPECT_EQ(only().header.type, wire::kVsockSeqpacketType);
}

// A driver that did not negotiate the feature has streams only.
TEST(VsockStreamsOnly, ASeqpacketRequestIsReset) {
  const wire::VsockConfig config{kCid};
  std::array<int, 2> ends{};
  ASSERT_EQ(::socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, ends.data()), 0);
  Events events;
  Upcalls upcalls;
  virtio::VhostSession session(Fd(ends[0]), virtio::VsockDevice::profile(config), events);
  virtio::VsockDevice device(session, kCid);
  VsockFlows flows(device, kCid, 1, upcalls);
  FrontEnd front(Fd(ends[1]), [&] { EXPECT_TRUE(session.on_readable()); });
  VsockGuest guest(kCid);
  guest.start(front, virtio::VsockDevice::profile(config).features & ~wire::kVsockSeqpacket, 4);
  VsockHeader request = guest.header(VsockOp::request, kGuestPort, kHostPort);
  request.type = wire::kVsockSeqpacketType;
  ASSERT_TRUE(guest.offer(request));
  EXPECT_EQ(flows.receive(8), 1U);
  flows.pump();
  device.flush();
  EXPECT_TRUE(upcalls.opened.empty());
  EXPECT_EQ(guest.received().at(0).op(), VsockOp::reset);
}

}  // namespace
}  // namespace microagent::netd
