#include "netd/vsock_flows.h"

#include <gtest/gtest.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <unistd.h>

#include <map>
#include <string>
#include <vector>

#include "virtio/testing/vsock_guest.h"

namespace microagent::netd {
namespace {

using virtio::testing::DriverBuffer;
using virtio::testing::FrontEnd;
using virtio::testing::VsockGuest;
using Packet = virtio::testing::VsockGuestPacket;
using wire::VsockHeader;
using wire::VsockOp;

constexpr std::uint64_t kCid = 5;
constexpr std::uint32_t kGuestPort = 4000;
constexpr std::uint32_t kHostPort = 80;

class Events final : public virtio::VhostEvents {
 public:
  bool on_kick_added(std::size_t, int) override { return true; }
  void on_kick_removed(std::size_t, int) override {}
};

struct Upcalls final : VsockUpcalls {
  void open_vsock(flow::FlowId flow, VsockPorts ports) override { opened.emplace_back(flow, ports); }
  void closed_vsock(flow::FlowId flow, const flow::Closed& totals) override { closed.emplace_back(flow, totals); }
  bool watch_vsock(int fd, std::uint64_t token) override { return watched.emplace(fd, token).second; }
  void forget(int fd) override { watched.erase(fd); }

  std::vector<std::pair<flow::FlowId, VsockPorts>> opened;
  std::vector<std::pair<flow::FlowId, flow::Closed>> closed;
  std::map<int, std::uint64_t> watched;
};

// A guest that sends raw packets, the flows, and the host's end of one descriptor.
class VsockFlowsTest : public ::testing::Test {
 protected:
  VsockFlowsTest() {
    std::array<int, 2> ends{};
    EXPECT_EQ(::socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, ends.data()), 0);
    session.emplace(Fd(ends[0]), virtio::VsockDevice::profile(config), events);
    device.emplace(*session, kCid);
    flows.emplace(*device, kCid, 0x1234, upcalls);
    front.emplace(Fd(ends[1]), [this] { EXPECT_TRUE(session->on_readable()); });
    guest.start(*front, virtio::VsockDevice::profile(config).features, 32);
  }

  VsockHeader header(VsockOp op, std::uint32_t host_port = kHostPort) const {
    return guest.header(op, kGuestPort, host_port);
  }

  void send(const VsockHeader& out, std::string_view data = {}) {
    ASSERT_TRUE(guest.offer(out, data));
    turn();
  }
  void send(VsockOp op, std::uint32_t host_port = kHostPort) { send(header(op, host_port)); }
  void send_data(std::string_view data, std::uint32_t host_port = kHostPort) {
    VsockHeader out = header(VsockOp::rw, host_port);
    out.length = static_cast<std::uint32_t>(data.size());
    send(out, data);
  }

  // What netd's loop does in one turn.
  void turn() {
    flows->receive(128);
    flows->pump();
    device->flush();
  }
  void descriptor_event(std::uint32_t epoll_events) {
    const auto watched = upcalls.watched;
    for (const auto& [fd, token] : watched) flows->on_descriptor(token, epoll_events);
    turn();
  }

  std::vector<Packet> received() { return guest.received(); }
  Packet only() {
    const auto packets = received();
    EXPECT_EQ(packets.size(), 1U);
    return packets.empty() ? Packet{} : packets.front();
  }

  Fd make_host_end() {
    std::array<int, 2> ends{};
    EXPECT_EQ(::socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0, ends.data()), 0);
    host.reset(ends[0]);
    return Fd(ends[1]);
  }
  void connect() {
    send(VsockOp::request);
    ASSERT_FALSE(upcalls.opened.empty());
    flows->on_splice(upcalls.opened.back().first, make_host_end());
    turn();
    ASSERT_EQ(only().op(), VsockOp::response);
  }
  std::string host_reads() {
    std::string out(1 << 20, '\0');
    const ssize_t count = ::recv(host.get(), out.data(), out.size(), MSG_DONTWAIT);
    out.resize(count < 0 ? 0 : static_cast<std::size_t>(count));
    return out;
  }
  bool host_at_end() {
    char byte = 0;
    return ::recv(host.get(), &byte, 1, MSG_DONTWAIT) == 0;
  }
  void host_writes(const std::string& data) {
    ASSERT_EQ(::send(host.get(), data.data(), data.size(), MSG_DONTWAIT | MSG_NOSIGNAL),
              static_cast<ssize_t>(data.size()));
    descriptor_event(EPOLLIN | EPOLLOUT);
  }
  void expect_reset_and_gone(flow::End how) {
    EXPECT_EQ(only().op(), VsockOp::reset);
    EXPECT_EQ(flows->size(), 0U);
    ASSERT_EQ(upcalls.closed.size(), 1U);
    EXPECT_EQ(upcalls.closed[0].second.end, how);
    EXPECT_TRUE(upcalls.watched.empty());
  }

  wire::VsockConfig config{kCid};
  VsockGuest guest{kCid};
  Events events;
  Upcalls upcalls;
  std::optional<virtio::VhostSession> session;
  std::optional<virtio::VsockDevice> device;
  std::optional<VsockFlows> flows;
  std::optional<FrontEnd> front;
  std::uint32_t told = 0;
  Fd host;
};

TEST_F(VsockFlowsTest, AsksForAVerdictAndSplicesBothWays) {
  connect();
  EXPECT_EQ(upcalls.opened[0].second.guest, kGuestPort);
  EXPECT_EQ(upcalls.opened[0].second.host, kHostPort);
  send_data("hello");
  EXPECT_EQ(host_reads(), "hello");
  host_writes("world");
  const Packet packet = only();
  EXPECT_EQ(packet.op(), VsockOp::rw);
  EXPECT_EQ(packet.data, "world");
  EXPECT_EQ(packet.header.forwarded_count, 5U);
  EXPECT_EQ(packet.header.buffer_size, kVsockBuffer);
}

TEST_F(VsockFlowsTest, RefusedByVerdict) {
  send(VsockOp::request);
  flows->on_refuse(upcalls.opened[0].first, true);
  turn();
  EXPECT_EQ(only().op(), VsockOp::reset);
  EXPECT_TRUE(upcalls.closed.empty()) << "a refused open is never closed";
}

TEST_F(VsockFlowsTest, GuestEndsItsSideFirst) {
  connect();
  send_data("last");
  VsockHeader shutdown = header(VsockOp::shutdown);
  shutdown.flags = wire::kVsockShutdownSend;
  send(shutdown);
  EXPECT_EQ(host_reads(), "last");
  EXPECT_TRUE(host_at_end());
  host_writes("answer");
  EXPECT_EQ(only().data, "answer");
  ::shutdown(host.get(), SHUT_WR);
  descriptor_event(EPOLLIN | EPOLLRDHUP);
  const auto packets = received();
  ASSERT_EQ(packets.size(), 2U);
  EXPECT_EQ(packets[0].header.flags, wire::kVsockShutdownSend);
  EXPECT_EQ(packets[1].header.flags, wire::kVsockShutdownBoth);
  ASSERT_EQ(upcalls.closed.size(), 1U);
  EXPECT_EQ(upcalls.closed[0].second.end, flow::End::finished);
  EXPECT_EQ(upcalls.closed[0].second.bytes_out, 4U);
  EXPECT_EQ(upcalls.closed[0].second.bytes_in, 6U);
}

TEST_F(VsockFlowsTest, HostEndsItsSideFirst) {
  connect();
  host_writes("bye");
  ::shutdown(host.get(), SHUT_WR);
  descriptor_event(EPOLLIN | EPOLLRDHUP);
  auto packets = received();
  ASSERT_EQ(packets.size(), 2U);
  EXPECT_EQ(packets[0].data, "bye");
  EXPECT_EQ(packets[1].op(), VsockOp::shutdown);
  EXPECT_EQ(packets[1].header.flags, wire::kVsockShutdownSend);
  send_data("still here");
  EXPECT_EQ(host_reads(), "still here");
  VsockHeader shutdown = header(VsockOp::shutdown);
  shutdown.flags = wire::kVsockShutdownBoth;
  send(shutdown);
  EXPECT_TRUE(host_at_end());
  expect_reset_and_gone(flow::End::finished);
}

TEST_F(VsockFlowsTest, HostGoesAway) {
  connect();
  host.reset();
  descriptor_event(EPOLLIN | EPOLLOUT | EPOLLRDHUP | EPOLLHUP);
  EXPECT_EQ(only().header.flags, wire::kVsockShutdownBoth);
  send_data("into the void");
  expect_reset_and_gone(flow::End::host_reset);
}

TEST_F(VsockFlowsTest, TheGuestConfirmsThatTheHostIsGone) {
  connect();
  host.reset();
  descriptor_event(EPOLLIN | EPOLLOUT | EPOLLRDHUP | EPOLLHUP);
  EXPECT_EQ(only().header.flags, wire::kVsockShutdownBoth);
  send(VsockOp::reset);
  ASSERT_EQ(upcalls.closed.size(), 1U);
  EXPECT_EQ(upcalls.closed[0].second.end, flow::End::finished);
}

TEST_F(VsockFlowsTest, DialsTheGuest) {
  flows->dial(flow::kDialledBit | 9, 1021, make_host_end());
  turn();
  const Packet request = only();
  EXPECT_EQ(request.op(), VsockOp::request);
  EXPECT_EQ(request.header.destination_port, 1021U);
  VsockHeader response = header(VsockOp::response, request.header.source_port);
  response.source_port = 1021;
  send(response);
  host_writes("argv");
  EXPECT_EQ(only().data, "argv");
  EXPECT_TRUE(flows->kill(flow::kDialledBit | 9));
  turn();
  expect_reset_and_gone(flow::End::killed);
  EXPECT_EQ(upcalls.closed[0].first, flow::kDialledBit | 9);
}

TEST_F(VsockFlowsTest, DialRefusedByTheGuest) {
  flows->dial(flow::kDialledBit | 9, 1021, make_host_end());
  turn();
  VsockHeader reset = header(VsockOp::reset, only().header.source_port);
  reset.source_port = 1021;
  send(reset);
  EXPECT_TRUE(received().empty()) << "no reset for a reset";
  ASSERT_EQ(upcalls.closed.size(), 1U);
  EXPECT_EQ(upcalls.closed[0].second.end, flow::End::refused);
}

TEST_F(VsockFlowsTest, DialNeverAnswered) {
  flows->dial(flow::kDialledBit | 9, 1021, make_host_end());
  turn();
  EXPECT_EQ(only().op(), VsockOp::request);
  ASSERT_TRUE(flows->next_deadline());
  flows->on_time(*flows->next_deadline());
  turn();
  expect_reset_and_gone(flow::End::timed_out);
  EXPECT_FALSE(flows->next_deadline());
}

TEST_F(VsockFlowsTest, WhatTheHostDoesNotTakeWaitsWithinTheCredit) {
  connect();
  const std::string block(32 * 1024, 'x');
  std::size_t sent = 0;
  while (flows->counters().against_rules == 0 && sent < 8 << 20) {
    const auto updates = received();
    const std::uint32_t forwarded = updates.empty() ? told : std::uint32_t{updates.back().header.forwarded_count};
    told = forwarded;
    if (sent + block.size() - told > kVsockBuffer) break;
    send_data(block);
    sent += block.size();
    if (guest.rx.used_index() > 100) break;
  }
  EXPECT_EQ(flows->counters().against_rules, 0U);
  EXPECT_EQ(flows->size(), 1U);
  std::size_t arrived = 0;
  for (std::string part = host_reads(); !part.empty(); part = host_reads()) {
    arrived += part.size();
    descriptor_event(EPOLLOUT);
  }
  EXPECT_EQ(arrived, sent);
  const auto updates = received();
  ASSERT_FALSE(updates.empty()) << "the guest must hear of the room";
  EXPECT_EQ(updates.back().op(), VsockOp::credit_update);
}

TEST_F(VsockFlowsTest, AnswersACreditRequest) {
  connect();
  send(VsockOp::credit_request);
  EXPECT_EQ(only().op(), VsockOp::credit_update);
}

TEST_F(VsockFlowsTest, SendsNoMoreThanTheGuestsCreditAndAsksOnce) {
  connect();
  host_writes(std::string(VsockGuest::kBuffer + 1000, 'y'));
  auto packets = received();
  std::size_t bytes = 0;
  for (const Packet& packet : packets) bytes += packet.header.length;
  EXPECT_EQ(bytes, VsockGuest::kBuffer);
  EXPECT_EQ(packets.back().op(), VsockOp::credit_request);
  descriptor_event(EPOLLIN);
  descriptor_event(EPOLLIN);
  EXPECT_TRUE(received().empty()) << "no spinning without credit";
  guest.forwarded = VsockGuest::kBuffer;
  send(VsockOp::credit_update);
  EXPECT_EQ(only().header.length, 1000U);
}

TEST_F(VsockFlowsTest, WithoutReceiveBuffersNothingIsLost) {
  connect();
  while (guest.rx.used_index() < 32) {
    send(VsockOp::credit_request);
  }
  EXPECT_EQ(received().size(), 31U);
  host_writes("later");
  EXPECT_TRUE(flows->blocked());
  EXPECT_TRUE(received().empty());
  guest.post_receive(4);
  turn();
  EXPECT_FALSE(flows->blocked());
  EXPECT_EQ(only().data, "later");
}

// ---- Hostile guests ----

TEST_F(VsockFlowsTest, ForeignSourceCid) {
  VsockHeader request = header(VsockOp::request);
  request.source_cid = kCid + 1;
  send(request);
  EXPECT_TRUE(upcalls.opened.empty());
  EXPECT_TRUE(received().empty());
  EXPECT_EQ(flows->counters().foreign, 1U);
}

TEST_F(VsockFlowsTest, ForeignDestinationCid) {
  VsockHeader request = header(VsockOp::request);
  request.destination_cid = 9;
  send(request);
  EXPECT_TRUE(upcalls.opened.empty());
  EXPECT_TRUE(received().empty());
}

TEST_F(VsockFlowsTest, DataBeyondTheCreditGiven) {
  connect();
  const std::string block(kVsockBuffer + 1, 'x');
  send_data(block);
  EXPECT_EQ(flows->counters().against_rules, 1U);
  expect_reset_and_gone(flow::End::guest_reset);
}

TEST_F(VsockFlowsTest, ForwardedCountAheadOfWhatWasSent) {
  connect();
  guest.forwarded = 1;
  send(VsockOp::credit_update);
  expect_reset_and_gone(flow::End::guest_reset);
}

TEST_F(VsockFlowsTest, ForwardedCountGoesBack) {
  connect();
  host_writes("12345678");
  guest.forwarded = 8;
  send(VsockOp::credit_update);
  EXPECT_EQ(received().size(), 1U);
  guest.forwarded = 4;
  send(VsockOp::credit_update);
  expect_reset_and_gone(flow::End::guest_reset);
}

TEST_F(VsockFlowsTest, HugeBufferIsOnlyACredit) {
  connect();
  VsockHeader update = header(VsockOp::credit_update);
  update.buffer_size = 0xffffffff;
  send(update);
  host_writes("ok");
  EXPECT_EQ(only().data, "ok");
}

TEST_F(VsockFlowsTest, LengthPastTheBuffer) {
  connect();
  VsockHeader data = header(VsockOp::rw);
  data.length = 1000;
  send(data, "short");
  expect_reset_and_gone(flow::End::guest_reset);
  EXPECT_EQ(host_reads(), "");
}

TEST_F(VsockFlowsTest, DataOnAClosedStream) {
  connect();
  VsockHeader shutdown = header(VsockOp::shutdown);
  shutdown.flags = wire::kVsockShutdownSend;
  send(shutdown);
  send_data("too late");
  expect_reset_and_gone(flow::End::guest_reset);
}

TEST_F(VsockFlowsTest, DataWithoutAStream) {
  send_data("who are you");
  EXPECT_EQ(only().op(), VsockOp::reset);
}

TEST_F(VsockFlowsTest, ResetWithoutAStreamIsNotAnswered) {
  send(VsockOp::reset);
  EXPECT_TRUE(received().empty());
}

TEST_F(VsockFlowsTest, RequestReusesThePortsOfALiveStream) {
  connect();
  send(VsockOp::request);
  EXPECT_EQ(upcalls.opened.size(), 1U);
  expect_reset_and_gone(flow::End::guest_reset);
  send(VsockOp::request);
  EXPECT_EQ(upcalls.opened.size(), 2U) << "and then they are free";
}

TEST_F(VsockFlowsTest, DataBeforeTheVerdict) {
  send(VsockOp::request);
  send_data("early");
  EXPECT_EQ(only().op(), VsockOp::reset);
  EXPECT_EQ(flows->size(), 0U);
  flows->on_splice(upcalls.opened[0].first, make_host_end());
  ASSERT_EQ(upcalls.closed.size(), 1U) << "whoever made the descriptor hears of its end";
  EXPECT_TRUE(host_at_end());
}

TEST_F(VsockFlowsTest, AnswersBeforeTheDialIsAccepted) {
  flows->dial(flow::kDialledBit | 9, kGuestPort, make_host_end());
  turn();
  send_data("early", only().header.source_port);
  expect_reset_and_gone(flow::End::guest_reset);
}

TEST_F(VsockFlowsTest, UnknownOperationAndType) {
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

TEST_F(VsockFlowsTest, AStormThatIsAnsweredByResetsIsBoundedByNotReading) {
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

TEST_F(VsockFlowsTest, MoreStreamsThanAllowed) {
  for (std::uint32_t port = 0; port < VsockFlows::kMaxConnections; ++port) send(VsockOp::request, port);
  EXPECT_EQ(upcalls.opened.size(), VsockFlows::kMaxConnections);
  EXPECT_TRUE(received().empty());
  send(VsockOp::request, 5000);
  EXPECT_EQ(upcalls.opened.size(), VsockFlows::kMaxConnections);
  EXPECT_EQ(only().op(), VsockOp::reset);
  flows->dial(flow::kDialledBit | 1, 1021, make_host_end());
  EXPECT_EQ(upcalls.closed.back().second.end, flow::End::no_resources);
}

TEST_F(VsockFlowsTest, SeveredForGood) {
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

TEST_F(VsockFlowsTest, PacketsThatAreNoPacketsStopTheQueueAlone) {
  ASSERT_TRUE(guest.tx.add(std::array{DriverBuffer{guest.ram.allocate(64), 43}}));
  turn();
  EXPECT_FALSE(session->queue(1).running());
  EXPECT_EQ(session->queue(1).take_fault(), virtio::RingFault::header_missing);
  EXPECT_TRUE(session->queue(0).running());
}

TEST_F(VsockFlowsTest, TheDriverGoesAway) {
  connect();
  flows->reset();
  EXPECT_EQ(flows->size(), 0U);
  EXPECT_EQ(upcalls.closed[0].second.end, flow::End::guest_reset);
  EXPECT_TRUE(host_at_end());
}

}  // namespace
}  // namespace microagent::netd
