// What real sockets of the host report, in a network of the test's own.

#include <netinet/ip.h>
#include <netinet/ip_icmp.h>

#include "netstack/socket_error.h"
#include "netstack/testing/datagram_fixture.h"
#include "netstack/testing/net_namespace.h"

namespace microagent::netstack {
namespace {

using namespace testing;

TEST(IcmpErrorFor, PassesOnWhatTheNetworkSaid) {
  const auto told = [](const SocketError& error, Family family = Family::ipv4) {
    const auto out = icmp_error_for(error, family, 1500);
    return out ? std::optional(std::array<std::uint32_t, 3>{out->type, out->code, out->rest}) : std::nullopt;
  };
  using Told = std::array<std::uint32_t, 3>;
  const auto router = ip4(203, 0, 113, 1), router6 = address_of("2001:db8::1");
  EXPECT_EQ(told({.error_number = EHOSTUNREACH, .from = router, .type = 11, .code = 0}), (Told{11, 0, 0}));
  EXPECT_EQ(told({.error_number = EHOSTUNREACH, .from = router, .type = 3, .code = 10}), (Told{3, 10, 0}));
  EXPECT_EQ(told({.error_number = EPROTO, .from = router, .type = 12, .code = 0}), std::nullopt);
  EXPECT_EQ(told({.error_number = EHOSTUNREACH, .from = router6, .type = 3, .code = 0}, Family::ipv6), (Told{3, 0, 0}));
  // The other family's numbers mean other things.
  EXPECT_EQ(told({.error_number = EHOSTUNREACH, .from = router6, .type = 1, .code = 3}), (Told{3, 1, 0}));
  EXPECT_EQ(told({.error_number = ECONNREFUSED}), (Told{3, 3, 0}));
  EXPECT_EQ(told({.error_number = ENETUNREACH}), (Told{3, 0, 0}));
  EXPECT_EQ(told({.error_number = EPERM}), (Told{3, 13, 0}));
  EXPECT_EQ(told({.error_number = EIO}), std::nullopt);
  EXPECT_EQ(told({.error_number = EMSGSIZE, .mtu = 1280}), (Told{3, 4, 1280}));
  EXPECT_EQ(told({.error_number = EMSGSIZE, .mtu = 1280}, Family::ipv6), (Told{2, 0, 1280}));
  EXPECT_EQ(told({.error_number = EMSGSIZE, .mtu = 1500}), std::nullopt) << "as much as the link takes";
  EXPECT_EQ(told({.error_number = EMSGSIZE}), std::nullopt);
}

class SocketErrorsTest : public DatagramFixture {
 protected:
  // The flow of `ends()` through a real socket to `port` at 198.51.100.7.
  void splice_udp(std::uint16_t port) {
    Fd client = bound_udp("198.51.100.7");
    connect_to(client, "198.51.100.7", port);
    socket = client.get();
    send_udp("first");
    stack->on_splice(upcalls.opened.back().flow, std::move(client));
    stack->flush();
  }
  // An ICMP message about `quoted` that reaches our own socket, as from a router at 198.51.100.1.
  static void inject(std::uint8_t type, std::uint8_t code, std::uint32_t rest, ByteView quoted) {
    const Fd raw(::socket(AF_INET, SOCK_RAW | SOCK_CLOEXEC, IPPROTO_ICMP));
    const sockaddr_in router = socket_address("198.51.100.1", 0);
    ASSERT_EQ(::bind(raw.get(), reinterpret_cast<const sockaddr*>(&router), sizeof router), 0);
    wire::IcmpHeader header;
    header.type = type;
    header.code = code;
    header.rest = rest;
    const auto us = ip4(198, 51, 100, 7);
    connect_to(raw, "198.51.100.7", 0);
    ASSERT_TRUE(send_to(raw, icmp_message({.source = us, .destination = us}, header, quoted)));
  }
  Bytes sent_datagram(std::uint16_t to_port) const {
    const auto us = ip4(198, 51, 100, 7);
    sockaddr_in name{};
    socklen_t size = sizeof name;
    EXPECT_EQ(::getsockname(socket, reinterpret_cast<sockaddr*>(&name), &size), 0);
    return ip_packet({.source = us, .destination = us},
                     udp_datagram({{us, ntohs(name.sin_port)}, {us, to_port}}, bytes_of_text("first")));
  }

  int socket = -1;
};

TEST_F(SocketErrorsTest, AClosedPortIsToldAndTheFlowGoesOn) {
  const bool ran = in_net_namespace(1500, [this] {
    Fd server = bound_udp("198.51.100.7");
    const std::uint16_t port = port_of(server);
    splice_udp(port);
    server.reset();
    send_udp("refused");
    expect_silence();
    descriptor_events(EPOLLIN | EPOLLERR);
    const Parsed error = only();
    expect_error(error, 3, 3);
    EXPECT_EQ(error.source, ip4(198, 51, 100, 7)) << "who refused";
    // An error that was not looked at yet costs the next datagram nothing.
    send_udp("refused again");
    server = bound_udp("198.51.100.7", port);
    send_udp("heard");
    EXPECT_EQ(heard_by(server), "heard");
    expect_error(only(), 3, 3);
    EXPECT_EQ(stack->counters().flows, 1U);
    EXPECT_EQ(stack->counters().dropped, 0U);
  });
  if (!ran) GTEST_SKIP() << "no network namespace";
}

TEST_F(SocketErrorsTest, TheHostsNarrowLinkIsTold) {
  const bool ran = in_net_namespace(1300, [this] {
    const Fd server = bound_udp("198.51.100.7");
    splice_udp(port_of(server));
    EXPECT_EQ(heard_by(server), "first");
    send_udp(pattern(1400));
    const Parsed error = only();
    expect_error(error, 3, 4);
    EXPECT_EQ(header_of<wire::IcmpHeader>(error.payload).rest, 1300U);
    EXPECT_EQ(error.source, kGateway);
    EXPECT_EQ(receive_from(server), std::nullopt);
    // What may be cut is.
    IpFields fields{.source = kGuest, .destination = kServer};
    fields.flags_and_offset = 0;
    send(ip_frame(fields, udp_datagram(ends(), pattern(1400))));
    EXPECT_EQ(receive_from(server), pattern(1400));
    expect_silence();
  });
  if (!ran) GTEST_SKIP() << "no network namespace";
}

TEST_F(SocketErrorsTest, OneOfManyThatIsTooLargeCostsTheOthersNothing) {
  const bool ran = in_net_namespace(1300, [this] {
    const Fd server = bound_udp("198.51.100.7");
    splice_udp(port_of(server));
    EXPECT_EQ(heard_by(server), "first");
    // Segments that do not fit the link are not sent as such; then each is judged by itself.
    send_batch({udp_frame(ends(), pattern(1400)), udp_frame(ends(), pattern(1400)), udp_frame(ends(), pattern(600)),
                udp_frame(ends(), pattern(600)), udp_frame(ends(), pattern(1272))});
    EXPECT_EQ(receive_from(server), pattern(600));
    EXPECT_EQ(receive_from(server), pattern(600));
    EXPECT_EQ(receive_from(server), pattern(1272));
    EXPECT_EQ(stack->counters().dropped, 2U);
    for (const Parsed& error : received()) expect_error(error, 3, 4);
  });
  if (!ran) GTEST_SKIP() << "no network namespace";
}

TEST_F(SocketErrorsTest, RoutersOnTheWayAreNamed) {
  const bool ran = in_net_namespace(1500, [this] {
    const Fd server = bound_udp("198.51.100.7");
    const std::uint16_t port = port_of(server);
    splice_udp(port);
    inject(wire::kIcmpTimeExceeded, 0, 0, sent_datagram(port));
    descriptor_events(EPOLLERR);
    Parsed error = only();
    expect_error(error, 11, 0);
    EXPECT_EQ(error.source, ip4(198, 51, 100, 1));
    inject(wire::kIcmpUnreachable, wire::kIcmpHost, 0, sent_datagram(port));
    descriptor_events(EPOLLERR);
    expect_error(only(), 3, 1);
    inject(wire::kIcmpUnreachable, wire::kIcmpFragmentationNeeded, 1200, sent_datagram(port));
    descriptor_events(EPOLLERR);
    error = only();
    expect_error(error, 3, 4);
    EXPECT_EQ(header_of<wire::IcmpHeader>(error.payload).rest, 1200U);
    EXPECT_EQ(stack->counters().flows, 1U);
  });
  if (!ran) GTEST_SKIP() << "no network namespace";
}

TEST_F(SocketErrorsTest, AHostWithoutARouteIsTold) {
  const bool ran = in_net_namespace(1500, [this] {
    const Fd server = bound_udp("198.51.100.7");
    splice_udp(port_of(server));
    ASSERT_EQ(std::system("ip route flush table local && ip route add unreachable 198.51.100.7"), 0);
    send_udp("nowhere");
    const Parsed error = only();
    EXPECT_EQ(error.payload[0], 3);
    EXPECT_EQ(error.source, kGateway);
    EXPECT_EQ(stack->counters().flows, 1U);
  });
  if (!ran) GTEST_SKIP() << "no network namespace";
}

}  // namespace
}  // namespace microagent::netstack
