// Conversations that are opened to the guest: published ports.

#include "netstack/testing/datagram_fixture.h"

namespace microagent::netstack {
namespace {

using namespace testing;

const wire::IpAddress kLoopback = ip4(127, 0, 0, 1);
const wire::IpAddress kGuest6 = address_of("fd12:3456::2");
const wire::IpAddress kGateway6 = address_of("fd12:3456::1");

class UdpDialTest : public DatagramFixture {
 protected:
  static constexpr FlowId kFlow = FlowId{1} << 63 | 5;

  void dial(std::string_view first = "hello") {
    stack->dial(kFlow, Protocol::udp, 9000, make_pair(SOCK_DGRAM, host), bytes_of_text(first));
    stack->flush();
  }
  Parsed expect_first(const wire::IpAddress& to, std::string_view text = "hello") {
    const Parsed frame = only();
    const auto header = header_of<wire::UdpHeader>(frame.payload);
    port = header.source_port;
    expect_udp(frame, {{to, 9000}, {gateway_for(to), port}}, bytes_of_text(text));
    return frame;
  }
  void answer(std::string_view text, const wire::IpAddress& from = kGuest) {
    send_udp(text, {{from, 9000}, {gateway_for(from), port}});
  }

  static const wire::IpAddress& gateway_for(const wire::IpAddress& guest) {
    return guest.is_ipv4() ? kGateway : kGateway6;
  }

  Fd host;
  std::uint16_t port = 0;
};

TEST_F(UdpDialTest, ReachesTheGuestFromTheGateway) {
  dial();
  expect_first(kGuest);
  answer("welcome");
  EXPECT_EQ(heard_by(host), "welcome");
  host_says(host, bytes_of_text("more"));
  expect_first(kGuest, "more");
  EXPECT_TRUE(upcalls.opened.empty());
  run_for(120 * kSecond);
  ASSERT_EQ(upcalls.ends.size(), 1U);
  EXPECT_EQ(upcalls.ends[0].flow, kFlow);
  EXPECT_EQ(upcalls.ends[0].totals.bytes_in, 9U);
  EXPECT_EQ(upcalls.ends[0].totals.bytes_out, 7U);
}

TEST_F(UdpDialTest, TriesTheGuestsLoopbackNext) {
  dial();
  const Parsed frame = expect_first(kGuest);
  refuse_as_guest(frame, kGuest);
  expect_first(kLoopback);
  answer("from loopback", kLoopback);
  EXPECT_EQ(heard_by(host), "from loopback");
  EXPECT_TRUE(upcalls.opened.empty());
  EXPECT_TRUE(upcalls.ends.empty());
}

TEST_F(UdpDialTest, IsRefusedWhereNobodyListens) {
  dial();
  refuse_as_guest(expect_first(kGuest), kGuest);
  refuse_as_guest(expect_first(kLoopback), kLoopback);
  ASSERT_EQ(upcalls.ends.size(), 1U);
  EXPECT_EQ(upcalls.ends[0].flow, kFlow);
  EXPECT_EQ(upcalls.ends[0].totals.end, End::refused);
  EXPECT_EQ(stack->counters().flows, 0U);
}

TEST_F(UdpDialTest, WaitsForTheGuestsRoom) {
  wire.frames_of_room = 0;
  dial();
  expect_silence();
  ASSERT_TRUE(send_to(host, bytes_of_text("second")));
  descriptor_events(EPOLLIN);
  give_room(std::nullopt);
  const auto frames = received();
  ASSERT_EQ(frames.size(), 2U);
  EXPECT_EQ(text_of(ByteView(frames[0].payload).subspan(8)), "hello");
  EXPECT_EQ(text_of(ByteView(frames[1].payload).subspan(8)), "second");
}

TEST_F(UdpDialTest, TellsConversationsApart) {
  Fd other;
  dial();
  expect_first(kGuest);
  const std::uint16_t first_port = port;
  stack->dial(kFlow + 1, Protocol::udp, 9000, make_pair(SOCK_DGRAM, other), bytes_of_text("hello"));
  expect_first(kGuest);
  EXPECT_NE(port, first_port);
  answer("to the second");
  EXPECT_EQ(heard_by(other), "to the second");
  EXPECT_EQ(heard_by(host), std::nullopt);
  stack->kill(kFlow);
  ASSERT_EQ(upcalls.ends.size(), 1U);
  EXPECT_EQ(upcalls.ends[0].flow, kFlow);
}

TEST_F(UdpDialTest, SendsAFirstDatagramOfAnySize) {
  dial(std::string(9000, 'x'));
  const Bytes whole = reassembled(received());
  EXPECT_EQ(whole.size(), 9008U);
}

TEST_F(UdpDialTest, IsToldWhenThereIsNoPlace) {
  stack->dial(kFlow, Protocol::udp, 9000, Fd(), {});
  stack->dial(kFlow, Protocol::udp, 9000, make_pair(SOCK_STREAM, host), {});
  stack->dial(kFlow, Protocol::icmp_echo, 9000, make_pair(SOCK_DGRAM, host), {});
  ASSERT_EQ(upcalls.ends.size(), 3U);
  EXPECT_EQ(upcalls.ends[0].totals.end, End::no_resources);
  EXPECT_EQ(upcalls.ends[1].totals.end, End::no_resources);
  EXPECT_EQ(upcalls.ends[2].totals.end, End::refused);
  EXPECT_EQ(stack->counters().flows, 0U);
}

// ---- A guest with both families ----

class UdpDialTwiceTest : public UdpDialTest {
 protected:
  UdpDialTwiceTest() {
    config.has_ipv6 = true;
    config.guest_ip6 = kGuest6.bytes;
    config.gateway_ip6 = kGateway6.bytes;
    restart();
  }
  void dial_for_ipv6() {
    const GuestService service(9000, wire::IpAddress::Family::ipv6);
    stack->dial(kFlow, Protocol::udp, service, make_pair(SOCK_DGRAM, host), bytes_of_text("hello"));
    stack->flush();
  }
  void expect_end(End how) {
    ASSERT_EQ(upcalls.ends.size(), 1U);
    EXPECT_EQ(upcalls.ends[0].totals.end, how);
    EXPECT_EQ(stack->counters().flows, 0U);
  }
};

TEST_F(UdpDialTwiceTest, ByIpv6WhereNobodyListensByIpv4) {
  dial();
  refuse_as_guest(expect_first(kGuest), kGuest);
  const Parsed frame = expect_first(kGuest6);
  EXPECT_EQ(frame.source, kGateway6);
  answer("by IPv6", kGuest6);
  EXPECT_EQ(heard_by(host), "by IPv6");
  host_says(host, bytes_of_text("more"));
  expect_first(kGuest6, "more");
  EXPECT_TRUE(upcalls.ends.empty());
}

TEST_F(UdpDialTwiceTest, ByIpv6FirstForAClientThatSpeaksIt) {
  dial_for_ipv6();
  expect_first(kGuest6);
  answer("by IPv6", kGuest6);
  EXPECT_EQ(heard_by(host), "by IPv6");
}

TEST_F(UdpDialTwiceTest, RefusedEverywhere) {
  dial_for_ipv6();
  refuse_as_guest(expect_first(kGuest6), kGuest6);
  refuse_as_guest(expect_first(kGuest), kGuest);
  refuse_as_guest(expect_first(kLoopback), kLoopback);
  expect_end(End::refused);
}

TEST_F(UdpDialTest, AClientThatSpeaksIpv6ReachesAGuestThatDoesNot) {
  const GuestService service(9000, wire::IpAddress::Family::ipv6);
  stack->dial(kFlow, Protocol::udp, service, make_pair(SOCK_DGRAM, host), bytes_of_text("hello"));
  stack->flush();
  expect_first(kGuest);
  answer("by IPv4");
  EXPECT_EQ(heard_by(host), "by IPv4");
}

}  // namespace
}  // namespace microagent::netstack
