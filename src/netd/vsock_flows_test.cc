// Guests that keep to the rules: streams, half-closes, dials, credit.

#include "netd/testing/vsock_fixture.h"

namespace microagent::netd {
namespace {

using namespace testing;

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

TEST_F(VsockFlowsTest, ReadsOnceForManyBuffersOfTheGuest) {
  connect();
  std::string data;
  for (int i = 0; i < 40'000; ++i) data += static_cast<char>('a' + i % 26);
  host_writes(data);
  std::string arrived;
  const auto packets = received();
  for (const Packet& packet : packets) {
    EXPECT_EQ(packet.op(), VsockOp::rw);
    arrived += packet.data;
  }
  EXPECT_EQ(packets.size(), 10U) << "full ones of 4096 and the rest";
  EXPECT_EQ(arrived, data);
}

TEST_F(VsockFlowsTest, AHostThatEndsBehindItsDataIsHeard) {
  connect();
  ASSERT_EQ(::send(host.get(), "bye", 3, 0), 3);
  ::shutdown(host.get(), SHUT_WR);
  descriptor_event(EPOLLIN | EPOLLRDHUP);
  const auto packets = received();
  ASSERT_EQ(packets.size(), 2U);
  EXPECT_EQ(packets[0].data, "bye");
  EXPECT_EQ(packets[1].op(), VsockOp::shutdown);
}

TEST_F(VsockFlowsTest, ConnectionsComeAndGoWithoutATrace) {
  for (std::uint32_t i = 0; i < 20'000; ++i) {
    guest.forwarded = 0;
    send(VsockOp::request, 1000 + i % 7);
    flows->on_splice(upcalls.opened.back().first, make_host_end());
    turn();
    ASSERT_EQ(only().op(), VsockOp::response) << i;
    VsockHeader shutdown = header(VsockOp::shutdown, 1000 + i % 7);
    shutdown.flags = wire::kVsockShutdownBoth;
    send(shutdown);
    ASSERT_EQ(only().op(), VsockOp::reset) << i;
    ASSERT_EQ(flows->size(), 0U);
    ASSERT_TRUE(upcalls.watched.empty());
    guest.post_again(2);
  }
  EXPECT_EQ(upcalls.closed.size(), 20'000U);
}

TEST_F(VsockFlowsTest, ThousandsAtOnceEachHaveTheirBytes) {
  constexpr std::uint32_t kMany = 2000;
  std::vector<Fd> hosts;
  for (std::uint32_t i = 0; i < kMany; ++i) {
    send(VsockOp::request, i);
    flows->on_splice(upcalls.opened.back().first, make_host_end());
    hosts.push_back(std::move(host));
    turn();
    ASSERT_EQ(only().op(), VsockOp::response) << i;
    guest.post_again(1);
  }
  for (std::uint32_t i = 0; i < kMany; ++i) send_data("to " + std::to_string(i), i);
  for (std::uint32_t i = 0; i < kMany; ++i) {
    host = std::move(hosts[i]);
    ASSERT_EQ(host_reads(), "to " + std::to_string(i));
  }
  EXPECT_EQ(flows->size(), kMany);
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

}  // namespace
}  // namespace microagent::netd
