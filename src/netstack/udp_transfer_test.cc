// Datagrams of flows that live, both ways.

#include "netstack/datagram_flows.h"
#include "netstack/testing/datagram_fixture.h"
#include "wire/virtio.h"

namespace microagent::netstack {
namespace {

using namespace testing;

class UdpTransferTest : public DatagramFixture {};

// ---- To the host ----

TEST_F(UdpTransferTest, SendsABatchInOrder) {
  Fd host, other;
  splice_pair(host);
  splice_pair(other, ends(5000));
  std::vector<Bytes> frames;
  for (int i = 0; i < 200; ++i)
    frames.push_back(udp_frame(ends(i % 7 == 3 ? 5000 : kGuestPort), pattern(4, static_cast<std::uint8_t>(i))));
  send_batch(frames);
  for (int i = 0; i < 200; ++i) {
    EXPECT_EQ(receive_from(i % 7 == 3 ? other : host), pattern(4, static_cast<std::uint8_t>(i))) << i;
  }
}

TEST_F(UdpTransferTest, KeepsTheBoundsOfDatagramsThatGoAsSegments) {
  const Fd server = bound_udp("127.0.0.1");
  Fd client = bound_udp("127.0.0.1");
  connect_to(client, "127.0.0.1", port_of(server));
  send_udp("first");
  stack->on_splice(upcalls.opened[0].flow, std::move(client));
  EXPECT_EQ(heard_by(server), "first");
  // Runs of one size, their ends smaller, larger, empty or single, and more bytes than one message takes.
  std::vector<std::size_t> sizes{100, 100, 100, 40, 100, 100, 1000, 1000, 1, 1, 0, 0, 7, 7, 7};
  sizes.insert(sizes.end(), 60, 1400);
  sizes.insert(sizes.end(), {3, 2, 1});
  piece_bytes = 400;
  std::vector<Bytes> frames;
  for (std::size_t i = 0; i < sizes.size(); ++i) {
    frames.push_back(udp_frame(ends(), pattern(sizes[i], static_cast<std::uint8_t>(i))));
  }
  send_batch(frames);
  for (std::size_t i = 0; i < sizes.size(); ++i) {
    EXPECT_EQ(receive_from(server), pattern(sizes[i], static_cast<std::uint8_t>(i))) << i;
  }
  EXPECT_EQ(receive_from(server), std::nullopt);
  EXPECT_EQ(stack->counters().dropped, 0U);
}

TEST_F(UdpTransferTest, TellsDatagramsApartThatTheGuestHasLeftTogether) {
  Fd host;
  splice_pair(host);
  const Bytes payload = pattern(1000);
  for (const std::size_t cut : {0, 2, 64, 333}) {
    piece_bytes = cut;
    for (const std::uint16_t size : std::array<std::uint16_t, 6>{8, 300, 500, 999, 1000, 1400}) {
      send(udp_frame(ends(), payload), {.flags = wire::kNetHeaderNeedsCsum,
                                        .gso_type = wire::kNetHeaderGsoUdp,
                                        .gso_size = size,
                                        .csum_start = 34,
                                        .csum_offset = 6});
      for (std::size_t at = 0; at < payload.size(); at += size) {
        const ByteView wanted = ByteView(payload).subspan(at, std::min<std::size_t>(size, payload.size() - at));
        EXPECT_EQ(receive_from(host), Bytes(wanted.begin(), wanted.end())) << size << " at " << at;
      }
      EXPECT_EQ(receive_from(host), std::nullopt);
    }
  }
  EXPECT_EQ(stack->counters().dropped, 0U);
}

TEST_F(UdpTransferTest, FindsThePayloadHoweverItIsCut) {
  Fd host;
  splice_pair(host);
  const Bytes payload = pattern(500);
  for (piece_bytes = 1; piece_bytes < 550; piece_bytes += 13) {
    send_udp(payload);
    EXPECT_EQ(receive_from(host), payload);
  }
}

TEST_F(UdpTransferTest, CarriesDatagramsOfNoBytes) {
  const Fd server = bound_udp("127.0.0.1");
  Fd client = bound_udp("127.0.0.1");
  connect_to(client, "127.0.0.1", port_of(server));
  connect_to(server, "127.0.0.1", port_of(client));
  send_udp("");
  stack->on_splice(upcalls.opened[0].flow, std::move(client));
  EXPECT_EQ(heard_by(server), "");
  send_udp("");
  EXPECT_EQ(heard_by(server), "");
  ASSERT_EQ(::send(server.get(), "", 0, 0), 0);
  descriptor_events(EPOLLIN);
  expect_udp(only(), ends(), {});
  EXPECT_EQ(stack->counters().flows, 1U);
}

TEST_F(UdpTransferTest, SendsNoMessageThatWouldMeanTheEnd) {
  Fd host;
  splice_pair(host, ends(), SOCK_SEQPACKET);
  send_udp("");
  EXPECT_EQ(heard_by(host), std::nullopt);
  send_udp("more");
  EXPECT_EQ(heard_by(host), "more");
}

TEST_F(UdpTransferTest, LosesWhatTheHostDoesNotTake) {
  Fd host;
  splice_pair(host);
  int sent = 0;
  for (; sent < 100'000 && stack->counters().dropped == 0; ++sent) send_udp(pattern(1000));
  EXPECT_GT(stack->counters().dropped, 0U);
  EXPECT_EQ(stack->counters().flows, 1U);
  while (receive_from(host)) {
  }
  send_udp("room again");
  EXPECT_EQ(heard_by(host), "room again");
}

TEST_F(UdpTransferTest, TellsTheSocketTheGuestsHopsLessOne) {
  const Fd server = bound_udp("127.0.0.1");
  Fd client = bound_udp("127.0.0.1");
  connect_to(client, "127.0.0.1", port_of(server));
  const int socket = client.get();
  const auto send_with = [this](std::uint8_t hops) {
    IpFields fields{.source = kGuest, .destination = kServer};
    fields.hop_limit = hops;
    send(ip_frame(fields, udp_datagram(ends(), pattern(3))));
  };
  const int usual = option_of(socket, IPPROTO_IP, IP_TTL);
  send_with(64);
  stack->on_splice(upcalls.opened[0].flow, std::move(client));
  EXPECT_EQ(option_of(socket, IPPROTO_IP, IP_TTL), usual);
  send_with(2);
  EXPECT_EQ(option_of(socket, IPPROTO_IP, IP_TTL), 1);
  send_with(255);
  EXPECT_EQ(option_of(socket, IPPROTO_IP, IP_TTL), 254);
  send_with(64);
  EXPECT_EQ(option_of(socket, IPPROTO_IP, IP_TTL), usual);
}

TEST_F(UdpTransferTest, PassesOnWhetherADatagramMayBeCut) {
  const Fd server = bound_udp("127.0.0.1");
  Fd client = bound_udp("127.0.0.1");
  connect_to(client, "127.0.0.1", port_of(server));
  const int socket = client.get();
  const auto send_sized = [this](std::size_t size, std::uint16_t flags) {
    IpFields fields{.source = kGuest, .destination = kServer};
    fields.flags_and_offset = flags;
    send(ip_frame(fields, udp_datagram(ends(), pattern(size))));
  };
  send_sized(100, wire::kIpv4DontFragment);
  stack->on_splice(upcalls.opened[0].flow, std::move(client));
  EXPECT_EQ(option_of(socket, IPPROTO_IP, IP_MTU_DISCOVER), IP_PMTUDISC_WANT) << "fits every path";
  send_sized(1200, wire::kIpv4DontFragment);
  EXPECT_EQ(option_of(socket, IPPROTO_IP, IP_MTU_DISCOVER), IP_PMTUDISC_DO);
  send_sized(1200, 0);
  EXPECT_EQ(option_of(socket, IPPROTO_IP, IP_MTU_DISCOVER), IP_PMTUDISC_WANT);
}

// ---- To the guest ----

TEST_F(UdpTransferTest, DeliversWhatTheHostSays) {
  Fd host;
  splice_pair(host);
  for (const std::size_t size : {1, 7, 100, 1471, 1472}) {
    host_says(host, pattern(size));
    expect_udp(only(), ends(), pattern(size));
  }
}

TEST_F(UdpTransferTest, LeavesTheChecksumToAGuestThatTakesThat) {
  Fd host;
  splice_pair(host);
  wire.can.csum = true;
  wire.piece_bytes = 33;
  host_says(host, pattern(700));
  ASSERT_EQ(wire.frames.size(), 1U);
  EXPECT_EQ(wire.frames[0].offload.flags, wire::kNetHeaderNeedsCsum);
  expect_udp(only(), ends(), pattern(700));
}

TEST_F(UdpTransferTest, FragmentsWhatIsLargerThanTheMtu) {
  Fd host;
  splice_pair(host);
  for (const std::size_t size : {1473, 1480, 2953, 9000, 65'507}) {
    for (const std::size_t cut : {0, 600}) {
      wire.piece_bytes = cut;
      host_says(host, pattern(size));
      const auto frames = received();
      ASSERT_GE(frames.size(), 2U);
      const Bytes whole = reassembled(frames);
      Parsed datagram = parse(Frame{ip_frame({.source = kServer, .destination = kGuest}, whole), {}});
      ASSERT_EQ(datagram.problem, "");
      expect_udp(datagram, ends(), pattern(size));
    }
  }
}

TEST_F(UdpTransferTest, DropsAMessageThatIsNoDatagram) {
  Fd host;
  splice_pair(host);
  host_says(host, pattern(65'508));
  expect_silence();
  EXPECT_EQ(stack->counters().dropped, 1U);
  host_says(host, pattern(8));
  expect_udp(only(), ends(), pattern(8));
}

TEST_F(UdpTransferTest, LeavesInTheSocketWhatTheGuestHasNoRoomFor) {
  Fd host;
  splice_pair(host);
  wire.frames_of_room = 2;
  for (std::uint8_t i = 1; i <= 5; ++i) host_says(host, pattern(20, i));
  auto frames = received();
  ASSERT_EQ(frames.size(), 2U);
  const auto refused = wire.refused;
  host_says(host, pattern(20, 6));
  EXPECT_EQ(wire.refused, refused) << "asks no more until there is room";
  give_room(std::nullopt);
  frames = received();
  ASSERT_EQ(frames.size(), 4U);
  for (std::uint8_t i = 3; i <= 6; ++i) expect_udp(frames[i - 3U], ends(), pattern(20, i));
  EXPECT_EQ(stack->counters().dropped, 0U);
}

TEST_F(UdpTransferTest, TakesFlowsInTurn) {
  Fd loud, quiet;
  splice_pair(loud);
  splice_pair(quiet, ends(5000));
  for (int i = 0; i < 100; ++i) ASSERT_TRUE(send_to(loud, pattern(10)));
  ASSERT_TRUE(send_to(quiet, pattern(11)));
  descriptor_events(EPOLLIN);
  const auto frames = received();
  ASSERT_EQ(frames.size(), 101U);
  std::size_t at = 0;
  while (frames[at].payload.size() != 8 + 11) ++at;
  EXPECT_LE(at, std::size_t{DatagramFlows::kReceivesPerTurn});
}

TEST_F(UdpTransferTest, LeavesTimeForOthersInAFlood) {
  constexpr std::size_t kAtOnce = DatagramFlows::kReceivesPerTurn * DatagramFlows::kTurnsPerFlush;
  std::array<Fd, kAtOnce / 8 + 4> hosts;
  for (std::size_t i = 0; i < hosts.size(); ++i) {
    splice_pair(hosts[i], ends(static_cast<std::uint16_t>(1000 + i)));
    for (int sent = 0; sent < 8; ++sent) ASSERT_TRUE(send_to(hosts[i], pattern(1)));
  }
  descriptor_events(EPOLLIN);
  std::size_t heard = received().size();
  EXPECT_LE(heard, kAtOnce);
  EXPECT_LT(heard, 8 * hosts.size());
  while (stack->next_deadline() == now) stack->flush();
  heard += received().size();
  EXPECT_EQ(heard, 8 * hosts.size());
}

}  // namespace
}  // namespace microagent::netstack
