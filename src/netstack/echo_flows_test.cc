#include "netstack/echo_flows.h"

#include "netstack/testing/datagram_fixture.h"
#include "netstack/testing/net_namespace.h"

namespace microagent::netstack {
namespace {

using namespace testing;
using wire::IcmpEchoHeader;

// Echo requests of the guest to a server, through a descriptor.
class EchoFlowsTest : public DatagramFixture {
 protected:
  static constexpr std::uint16_t kIdentifier = 0x4321;

  static IpFields to_server() { return {.source = kGuest, .destination = kServer, .protocol = wire::kProtocolIcmp}; }
  void ping(std::uint16_t sequence, ByteView payload, std::uint8_t hops = 64, std::uint16_t identifier = kIdentifier) {
    IpFields fields = to_server();
    fields.hop_limit = hops;
    send(ip_frame(fields, echo_message(fields, wire::kIcmpEchoRequest, identifier, sequence, payload)));
  }
  static void expect_reply(const Parsed& frame, std::uint16_t sequence, ByteView payload) {
    EXPECT_EQ(frame.source, kServer);
    EXPECT_EQ(frame.protocol, wire::kProtocolIcmp);
    const auto header = header_of<IcmpEchoHeader>(frame.payload);
    EXPECT_EQ(header.type, wire::kIcmpEchoReply);
    EXPECT_EQ(header.code, 0);
    EXPECT_EQ(header.identifier, kIdentifier);
    EXPECT_EQ(header.sequence, sequence);
    EXPECT_TRUE(std::ranges::equal(ByteView(frame.payload).subspan(8), payload));
  }
  // A ping socket connected to the server, which the namespace has as its own address.
  static Fd ping_socket() {
    Fd socket(::socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC | SOCK_NONBLOCK, IPPROTO_ICMP));
    MICROAGENT_CHECK(static_cast<bool>(socket));
    connect_to(socket, "198.51.100.7", 0);
    return socket;
  }
  void splice_ping() {
    ping(1, pattern(10));
    Fd ping = ping_socket();
    socket = ping.get();
    stack->on_splice(upcalls.opened.back().flow, std::move(ping));
    stack->flush();
    descriptor_events(EPOLLIN);
    expect_reply(only(), 1, pattern(10));
  }

  int socket = -1;
};

TEST_F(EchoFlowsTest, AsksForAVerdictOnceAnIdentifier) {
  ping(1, {});
  ping(2, {});
  ASSERT_EQ(upcalls.opened.size(), 1U);
  EXPECT_EQ(upcalls.opened[0].protocol, Protocol::icmp_echo);
  EXPECT_EQ(upcalls.opened[0].guest, (Endpoint{kGuest, kIdentifier}));
  EXPECT_EQ(upcalls.opened[0].destination, (Endpoint{kServer, 0}));
  EXPECT_EQ(kind_of(upcalls.opened[0].flow), Kind::echo);
  ping(1, {}, 64, kIdentifier + 1);
  ping(1, {}, 64, 0);  // as good an identifier as any
  EXPECT_EQ(upcalls.opened.size(), 3U);
}

TEST_F(EchoFlowsTest, GivesTheSocketTheWholeRequest) {
  Fd host;
  ping(7, pattern(30));
  stack->on_splice(upcalls.opened[0].flow, make_pair(SOCK_DGRAM, host));
  ping(8, {});
  for (const int sequence : {7, 8}) {
    const auto request = receive_from(host);
    ASSERT_TRUE(request);
    const auto header = header_of<IcmpEchoHeader>(*request);
    EXPECT_EQ(header.type, wire::kIcmpEchoRequest);
    EXPECT_EQ(header.sequence, sequence);
    EXPECT_EQ(request->size(), sequence == 7 ? 38U : 8U);
  }
}

TEST_F(EchoFlowsTest, GivesTheGuestItsIdentifierBack) {
  Fd host;
  ping(7, {});
  stack->on_splice(upcalls.opened[0].flow, make_pair(SOCK_DGRAM, host));
  for (const std::size_t size : {0, 1, 56, 1472}) {
    IcmpEchoHeader reply;
    reply.identifier = 99;
    reply.sequence = static_cast<std::uint16_t>(size);
    wire.piece_bytes = size / 3;
    host_says(host, joined({bytes_of(reply), pattern(size)}));
    expect_reply(only(), static_cast<std::uint16_t>(size), pattern(size));
  }
  host_says(host, pattern(7));  // not even a header
  expect_silence();
  EXPECT_EQ(stack->counters().dropped, 1U);
}

TEST_F(EchoFlowsTest, IsRefusedByIcmp) {
  ping(3, pattern(20));
  stack->on_refuse(upcalls.opened[0].flow, Refusal::admin_prohibited);
  const Parsed error = only();
  EXPECT_EQ(error.payload[0], 3);
  EXPECT_EQ(error.payload[1], 13);
  const auto quoted = header_of<IcmpEchoHeader>(error.payload, 8 + 20);
  EXPECT_EQ(quoted.identifier, kIdentifier);
  EXPECT_EQ(quoted.sequence, 3);
}

TEST_F(EchoFlowsTest, EndsWhenIdle) {
  Fd host;
  ping(1, {});
  stack->on_splice(upcalls.opened[0].flow, make_pair(SOCK_DGRAM, host));
  run_for(29 * kSecond);
  ping(2, {});
  run_for(29 * kSecond);
  EXPECT_TRUE(upcalls.ends.empty());
  run_for(kSecond);
  ASSERT_EQ(upcalls.ends.size(), 1U);
  EXPECT_EQ(upcalls.ends[0].totals.end, End::timed_out);
}

TEST_F(EchoFlowsTest, LeavesMostPlacesToOthers) {
  config.max_flows = 64;
  restart();
  for (std::uint16_t i = 0; i < 1000; ++i) ping(1, {}, 64, i);
  EXPECT_EQ(stack->counters().flows, 4U);
}

TEST_F(EchoFlowsTest, WorksThroughAPingSocket) {
  const bool ran = in_net_namespace(65'535, [this] {
    splice_ping();
    // Several under way at once, and of every size that the guest's MTU lets through in one piece.
    for (std::uint16_t sequence = 2; sequence < 12; ++sequence) ping(sequence, pattern(147U * (sequence - 2U)));
    descriptor_events(EPOLLIN);
    const auto replies = received();
    ASSERT_EQ(replies.size(), 10U);
    for (std::uint16_t i = 0; i < 10; ++i) {
      expect_reply(replies[i], static_cast<std::uint16_t>(i + 2), pattern(147U * i));
    }
  });
  if (!ran) GTEST_SKIP() << "no network namespace";
}

TEST_F(EchoFlowsTest, ToldWhichRequestARouterRefused) {
  const bool ran = in_net_namespace(1500, [this] {
    splice_ping();
    ping(2, pattern(10), 5);
    EXPECT_EQ(option_of(socket, IPPROTO_IP, IP_TTL), 4);
    ping(3, pattern(10), 6);
    descriptor_events(EPOLLIN);
    EXPECT_EQ(received().size(), 2U);
    // A router at 198.51.100.1 says that the first of the two did not live long enough.
    const auto us = ip4(198, 51, 100, 7);
    sockaddr_in name{};
    socklen_t size = sizeof name;
    ASSERT_EQ(::getsockname(socket, reinterpret_cast<sockaddr*>(&name), &size), 0);
    const IpFields fields{.source = us, .destination = us, .protocol = wire::kProtocolIcmp};
    const Bytes request =
        ip_packet(fields, echo_message(fields, wire::kIcmpEchoRequest, ntohs(name.sin_port), 2, pattern(10)));
    const Fd raw(::socket(AF_INET, SOCK_RAW | SOCK_CLOEXEC, IPPROTO_ICMP));
    const sockaddr_in router = socket_address("198.51.100.1", 0);
    ASSERT_EQ(::bind(raw.get(), reinterpret_cast<const sockaddr*>(&router), sizeof router), 0);
    connect_to(raw, "198.51.100.7", 0);
    wire::IcmpHeader exceeded;
    exceeded.type = wire::kIcmpTimeExceeded;
    ASSERT_TRUE(send_to(raw, icmp_message(fields, exceeded, request)));
    descriptor_events(EPOLLERR);
    const Parsed error = only();
    EXPECT_EQ(error.source, ip4(198, 51, 100, 1));
    EXPECT_EQ(error.payload[0], wire::kIcmpTimeExceeded);
    const auto quoted = header_of<IcmpEchoHeader>(error.payload, 8 + 20);
    EXPECT_EQ(quoted.identifier, kIdentifier);
    EXPECT_EQ(quoted.sequence, 2);
    // The quoted checksum is that of the guest's own request.
    const Bytes own = echo_message(to_server(), wire::kIcmpEchoRequest, kIdentifier, 2, pattern(10));
    EXPECT_EQ(quoted.checksum, header_of<IcmpEchoHeader>(own).checksum);
  });
  if (!ran) GTEST_SKIP() << "no network namespace";
}

}  // namespace
}  // namespace microagent::netstack
