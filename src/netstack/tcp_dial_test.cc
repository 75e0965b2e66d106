// Connections that are opened to the guest: published ports.

#include "netstack/testing/tcp_fixture.h"

namespace microagent::netstack {
namespace {

using namespace testing;

const wire::IpAddress kLoopback = ip4(127, 0, 0, 1);
constexpr FlowId kFlow = FlowId{1} << 63 | 7;

class TcpDialTest : public TcpFixture {
 protected:
  // The second try, at the guest's own 127.0.0.1.
  Segment expect_second_try() {
    use({kLoopback, guest.port}, server);
    const Segment syn = only();
    EXPECT_EQ(syn.flags, kSyn);
    return syn;
  }
  void guest_refuses() { send({.flags = kRst | kAck, .seq = 0, .ack = 1}); }
  void guest_accepts() {
    send({.flags = kSyn | kAck, .ack = 1, .window = 65'535, .options = guest_options()});
    expect_ack(1);
    events();
  }
  void guest_complains(std::uint8_t type, std::uint32_t sequence) {
    wire::TcpHeader header;
    header.source_port = server.port;
    header.destination_port = guest.port;
    header.sequence = sequence;
    const bool hard = type == 3;
    flows->on_icmp_error(server.address, guest.address, bytes_of(header).first(8), hard);
    flows->flush();
  }
};

TEST_F(TcpDialTest, TheSynComesFromTheGateway) {
  const Segment syn = dial(kFlow, 8080);
  EXPECT_EQ(syn.flags, kSyn);
  EXPECT_EQ(server.address, kGateway);
  EXPECT_GE(server.port, 32'768);
  EXPECT_EQ(syn.options.mss, kMss);
  EXPECT_EQ(syn.options.window_scale, 7);
  EXPECT_TRUE(syn.options.sack_permitted);
  EXPECT_TRUE(syn.options.timestamps);
  EXPECT_EQ(counters.flows, 1U);
  EXPECT_TRUE(upcalls.opened.empty());
}

TEST_F(TcpDialTest, DataGoesBothWays) {
  establish_dialled();
  guest_says("from the guest");
  EXPECT_EQ(host_hears_text(14), "from the guest");
  host_says("from the host");
  EXPECT_EQ(text_of(guest_hears()), "from the host");
  host_ends();
  EXPECT_EQ(only().kind(), kFin | kAck);
  guest_acks(guest_heard + 1);
  guest_ends();
  EXPECT_TRUE(host_sees_end());
  EXPECT_EQ(only_end(), End::finished);
}

TEST_F(TcpDialTest, WhatTheHostSaidFirstFollowsTheHandshake) {
  dial(kFlow, 8080);
  host_says("GET /");
  expect_silence();
  send({.flags = kSyn | kAck, .ack = 1, .window = 65'535, .options = guest_options()});
  const auto segments = seen();
  EXPECT_EQ(text_of(segments.front().data), "GET /");
}

TEST_F(TcpDialTest, TimestampsOnlyWhenTheGuestAnswersThem) {
  dial(kFlow, 8080);
  wire::TcpOptions options = guest_options();
  options.timestamps = wire::TcpTimestamps{now_ms(), 0};
  send({.flags = kSyn | kAck, .ack = 1, .window = 65'535, .options = options});
  EXPECT_TRUE(expect_ack(1).options.timestamps);
}

TEST_F(TcpDialTest, ARefusalIsFollowedByTheLoopback) {
  dial(kFlow, 8080);
  guest_refuses();
  expect_second_try();
  EXPECT_TRUE(upcalls.ends.empty());
  guest_accepts();
  guest_says("from 127.0.0.1");
  EXPECT_EQ(host_hears_text(14), "from 127.0.0.1");
}

TEST_F(TcpDialTest, AnUnreachablePortIsFollowedByTheLoopback) {
  const Segment syn = dial(kFlow, 8080);
  guest_complains(3, our_isn + syn.seq);
  expect_second_try();
  guest_accepts();
}

TEST_F(TcpDialTest, ASoftErrorChangesNothing) {
  const Segment syn = dial(kFlow, 8080);
  guest_complains(11, our_isn + syn.seq);
  expect_silence();
  guest_accepts();
}

TEST_F(TcpDialTest, AnErrorAboutAnotherSegmentChangesNothing) {
  dial(kFlow, 8080);
  guest_complains(3, our_isn + 1);
  expect_silence();
  guest_accepts();
}

// RFC 5927: no ICMP error ends what is established.
TEST_F(TcpDialTest, AnErrorAboutAConnectionChangesNothing) {
  establish_dialled();
  guest_complains(3, our_isn);
  guest_complains(3, our_isn + 1);
  EXPECT_TRUE(upcalls.ends.empty());
}

TEST_F(TcpDialTest, AShortQuoteIsIgnored) {
  dial(kFlow, 8080);
  flows->on_icmp_error(server.address, guest.address, Bytes(7), true);
  expect_silence();
}

TEST_F(TcpDialTest, TwoRefusalsAreTheEnd) {
  dial(kFlow, 8080);
  guest_refuses();
  expect_second_try();
  guest_refuses();
  EXPECT_EQ(only_end(), End::refused);
  EXPECT_EQ(upcalls.ends.front().flow, kFlow);
  EXPECT_TRUE(host_sees_reset());
  EXPECT_EQ(counters.flows, 0U);
  expect_silence();
}

TEST_F(TcpDialTest, AGuestThatNeverAnswersHasRefused) {
  dial(kFlow, 8080);
  run_for(9 * kSec);
  EXPECT_EQ(seen().size(), 3U);  // after 1, 2 and 4 seconds
  EXPECT_TRUE(upcalls.ends.empty());
  run_for(2 * kSec);
  EXPECT_EQ(only_end(), End::refused);
  EXPECT_TRUE(host_sees_reset());
  expect_silence();
}

TEST_F(TcpDialTest, ABlindResetIsNoRefusal) {
  dial(kFlow, 8080);
  send({.flags = kRst | kAck, .seq = 0, .ack = 2});
  send({.flags = kRst, .seq = 0});
  expect_silence();
  guest_accepts();
}

// RFC 9293, 3.5, figure 9.
TEST_F(TcpDialTest, AnAnswerToAnOldSynIsReset) {
  dial(kFlow, 8080);
  send({.flags = kSyn | kAck, .ack = 77, .window = 65'535, .options = guest_options()});
  const Segment reset = only();
  EXPECT_EQ(reset.flags, kRst);
  EXPECT_EQ(reset.seq, 77U);
  guest_accepts();
}

TEST_F(TcpDialTest, ASynWithoutRoomFollowsWhenThereIs) {
  wire.frames_of_room = 0;
  SocketPair pair = make_tcp_pair();
  flows->dial(kFlow, 8080, std::move(pair.ours));
  EXPECT_TRUE(wire.frames.empty());
  give_room(std::nullopt);
  ASSERT_EQ(wire.frames.size(), 1U);
}

TEST_F(TcpDialTest, AHostThatHangsUpWhileItIsDialledIsTold) {
  dial(kFlow, 8080);
  host_resets();
  EXPECT_EQ(only_end(), End::host_reset);
  expect_silence();
}

TEST_F(TcpDialTest, KillWhileDialling) {
  dial(kFlow, 8080);
  EXPECT_TRUE(flows->kill(kFlow));
  EXPECT_EQ(only_end(), End::killed);
  EXPECT_TRUE(host_sees_reset());
  expect_silence();
  // Its late answer meets nobody.
  send({.flags = kSyn | kAck, .ack = 1, .window = 65'535, .options = guest_options()});
  EXPECT_EQ(only().flags, kRst);
}

TEST_F(TcpDialTest, BothMayOpenAtOnce) {
  dial(kFlow, 8080);
  send({.flags = kSyn, .window = 65'535, .options = guest_options()});  // RFC 9293, figure 8
  const Segment answer = only();
  EXPECT_EQ(answer.flags, kSyn | kAck);
  EXPECT_EQ(answer.seq, 0U);
  EXPECT_EQ(answer.ack, 1U);
  host_says("first");
  expect_silence();
  send({.flags = kSyn | kAck, .ack = 1, .window = 65'535, .options = guest_options()});
  EXPECT_EQ(text_of(last().data), "first");
  guest_says("too");
  EXPECT_EQ(host_hears_text(3), "too");
  EXPECT_TRUE(upcalls.opened.empty());
}

TEST_F(TcpDialTest, AfterSeverNothingIsDialled) {
  environment.severed = true;
  SocketPair pair = make_tcp_pair();
  host = std::move(pair.host);
  flows->dial(kFlow, 8080, std::move(pair.ours));
  EXPECT_EQ(only_end(), End::killed);
  EXPECT_TRUE(host_sees_reset());
  EXPECT_TRUE(wire.frames.empty());
}

TEST_F(TcpDialTest, AFullTableDialsNothing) {
  config.max_flows = 1;
  restart();
  open();
  SocketPair pair = make_tcp_pair();
  host = std::move(pair.host);
  flows->dial(kFlow, 8080, std::move(pair.ours));
  EXPECT_EQ(only_end(), End::no_resources);
  EXPECT_TRUE(host_sees_reset());
}

TEST_F(TcpDialTest, ADescriptorThatCannotBeWatchedIsTold) {
  upcalls.can_watch = false;
  SocketPair pair = make_tcp_pair();
  host = std::move(pair.host);
  flows->dial(kFlow, 8080, std::move(pair.ours));
  EXPECT_EQ(only_end(), End::no_resources);
  EXPECT_TRUE(host_sees_reset());
  EXPECT_EQ(counters.flows, 0U);
}

TEST_F(TcpDialTest, EveryDialHasAPortOfItsOwn) {
  std::set<std::uint16_t> ports;
  for (FlowId flow = kFlow; flow < kFlow + 100; ++flow) {
    dial(flow, 8080);
    EXPECT_TRUE(ports.insert(server.port).second);
  }
  EXPECT_EQ(counters.flows, 100U);
}

TEST_F(TcpDialTest, ManyMayTryTheLoopbackAtOnce) {
  std::vector<std::pair<Endpoint, std::uint32_t>> first;
  for (FlowId flow = kFlow; flow < kFlow + 3; ++flow) {
    dial(flow, 8080);
    first.emplace_back(server, our_isn);
  }
  for (const auto& [gateway, isn] : first) {
    use({kGuest, 8080}, gateway);
    our_isn = isn;
    guest_refuses();
    expect_second_try();
  }
  EXPECT_TRUE(upcalls.ends.empty());
}

// ---- A guest with both families ----

class TcpDialTwiceTest : public TcpDialTest {
 protected:
  TcpDialTwiceTest() {
    config.has_ipv6 = true;
    config.guest_ip6 = kGuest6.bytes;
    config.gateway_ip6 = kGateway6.bytes;
    restart();
  }
  void expect_try_at(const wire::IpAddress& place) {
    use({place, guest.port}, {place.is_ipv4() ? kGateway : kGateway6, server.port});
    EXPECT_EQ(only().flags, kSyn);
  }
  void expect_service() {
    guest_accepts();
    guest_says("from the guest");
    EXPECT_EQ(host_hears_text(14), "from the guest");
    host_says("from the host");
    EXPECT_EQ(text_of(guest_hears()), "from the host");
  }

  static inline const wire::IpAddress kGuest6 = address_of("fd12:3456::2"), kGateway6 = address_of("fd12:3456::1");
  static inline const GuestService kByIpv6{8080, wire::IpAddress::Family::ipv6};
};

TEST_F(TcpDialTwiceTest, ByIpv6WhereNobodyListensByIpv4) {
  dial(kFlow, 8080);
  guest_refuses();
  expect_try_at(kGuest6);
  expect_service();
}

TEST_F(TcpDialTwiceTest, TheLoopbackAtLast) {
  dial(kFlow, 8080);
  guest_refuses();
  expect_try_at(kGuest6);
  guest_refuses();
  expect_try_at(kLoopback);
  expect_service();
}

TEST_F(TcpDialTwiceTest, ByIpv6FirstForAClientThatSpeaksIt) {
  const Segment syn = dial(kFlow, kByIpv6);
  EXPECT_EQ(guest.address, kGuest6);
  EXPECT_EQ(server.address, kGateway6);
  EXPECT_EQ(syn.options.mss, 1440);
  expect_service();
}

TEST_F(TcpDialTwiceTest, ByIpv4WhereNobodyListensByIpv6) {
  dial(kFlow, kByIpv6);
  guest_refuses();
  expect_try_at(kGuest);
  expect_service();
}

TEST_F(TcpDialTwiceTest, RefusedEverywhere) {
  dial(kFlow, kByIpv6);
  guest_refuses();
  expect_try_at(kGuest);
  guest_refuses();
  expect_try_at(kLoopback);
  guest_refuses();
  EXPECT_EQ(only_end(), End::refused);
  EXPECT_EQ(counters.flows, 0U);
}

TEST_F(TcpDialTest, AClientThatSpeaksIpv6ReachesAGuestThatDoesNot) {
  dial(kFlow, GuestService(8080, wire::IpAddress::Family::ipv6));
  EXPECT_EQ(guest.address, kGuest);
  guest_accepts();
}

}  // namespace
}  // namespace microagent::netstack
