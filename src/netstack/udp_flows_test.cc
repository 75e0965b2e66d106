#include "netstack/udp_flows.h"

#include "netstack/testing/datagram_fixture.h"
#include "wire/virtio.h"

namespace microagent::netstack {
namespace {

using namespace testing;

class UdpFlowsTest : public DatagramFixture {};

// ---- Parsing ----

TEST_F(UdpFlowsTest, AsksForAVerdictOnce) {
  send_udp("one");
  send_udp("two");
  ASSERT_EQ(upcalls.opened.size(), 1U);
  EXPECT_EQ(upcalls.opened[0].protocol, Protocol::udp);
  EXPECT_EQ(upcalls.opened[0].guest, (Endpoint{kGuest, kGuestPort}));
  EXPECT_EQ(upcalls.opened[0].destination, (Endpoint{kServer, kServerPort}));
  EXPECT_EQ(kind_of(upcalls.opened[0].flow), Kind::udp);
  EXPECT_EQ(stack->counters().flows, 1U);
  send_udp("to another", ends(kGuestPort, kServerPort + 1));
  send_udp("from another", ends(kGuestPort + 1));
  EXPECT_EQ(upcalls.opened.size(), 3U);
}

TEST_F(UdpFlowsTest, TakesNoPrefixOfADatagram) {
  const Bytes datagram = udp_datagram(ends(), pattern(30));
  const IpFields fields{.source = kGuest, .destination = kServer};
  for (std::size_t size = 0; size < datagram.size(); ++size) {
    Bytes part(datagram.begin(), datagram.begin() + static_cast<std::ptrdiff_t>(size));
    if (size >= 8) put_checksum(part, 6, fields);
    send(ip_frame(fields, part));
  }
  EXPECT_TRUE(upcalls.opened.empty());
  EXPECT_EQ(stack->counters().malformed, datagram.size());
}

TEST_F(UdpFlowsTest, RefusesWrongHeaders) {
  const IpFields fields{.source = kGuest, .destination = kServer};
  const auto expect_malformed = [&](auto change, bool fix = true) {
    Bytes datagram = udp_datagram(ends(), pattern(30));
    change(datagram);
    if (fix) put_checksum(datagram, 6, fields);
    const auto before = stack->counters().malformed;
    send(ip_frame(fields, datagram));
    EXPECT_EQ(stack->counters().malformed, before + 1);
  };
  expect_malformed([](Bytes& d) { d[0] = d[1] = 0; });  // from no port
  expect_malformed([](Bytes& d) { d[2] = d[3] = 0; });  // to no port
  expect_malformed([](Bytes& d) { d[5] = 7; });         // shorter than its header
  expect_malformed([](Bytes& d) { d[4] = d[5] = 0; });
  expect_malformed([](Bytes& d) { ++d[5]; });  // longer than its packet
  expect_malformed([](Bytes& d) { d[4] = 0xff; });
  expect_malformed([](Bytes& d) { d[20] ^= 1; }, false);
  expect_malformed([](Bytes& d) { d[6] ^= 1; }, false);
  EXPECT_TRUE(upcalls.opened.empty());
}

TEST_F(UdpFlowsTest, CutsTheDatagramToItsOwnLength) {
  Fd host;
  splice_pair(host);
  Bytes datagram = udp_datagram(ends(), bytes_of_text("short"));
  const IpFields fields{.source = kGuest, .destination = kServer};
  datagram.resize(datagram.size() + 9, 0xee);
  // The pseudo header counts the packet's length, so the sender's checksum is over what it says.
  datagram[6] = datagram[7] = 0;
  send(ip_frame(fields, datagram));
  EXPECT_EQ(heard_by(host), "short");
}

TEST_F(UdpFlowsTest, TakesAChecksumThatWasLeftOut) {
  Fd host;
  splice_pair(host);
  Bytes frame = udp_frame(ends(), bytes_of_text("no sum yet"));
  frame[40] ^= 0xff;  // in its place is only a part of it
  send(frame, Offload{.flags = wire::kNetHeaderNeedsCsum, .csum_start = 34, .csum_offset = 6});
  EXPECT_EQ(heard_by(host), "no sum yet");
  send(frame, Offload{.flags = wire::kNetHeaderNeedsCsum, .csum_start = 34, .csum_offset = 16});
  EXPECT_EQ(heard_by(host), std::nullopt);
}

TEST_F(UdpFlowsTest, OpensNothingForGroupsAndLoopback) {
  for (const auto& destination : {ip4(224, 0, 0, 251), ip4(255, 255, 255, 255), ip4(192, 168, 64, 255)}) {
    send_udp("to many", ends(kGuestPort, 5353, destination));
  }
  EXPECT_EQ(stack->counters().unsupported, 3U);
  send_udp("from loopback", {{ip4(127, 0, 0, 1), kGuestPort}, {kGateway, kServerPort}});
  EXPECT_EQ(stack->counters().spoofed, 1U);
  EXPECT_TRUE(upcalls.opened.empty());
  expect_silence();
}

// ---- While the verdict is awaited ----

TEST_F(UdpFlowsTest, DeliversWhatCameBeforeTheVerdictInOrder) {
  for (std::size_t i = 0; i < 17; ++i) send_udp(std::to_string(i));
  EXPECT_EQ(stack->counters().dropped, 1U) << "one over the bound";
  Fd host;
  stack->on_splice(upcalls.opened[0].flow, make_pair(SOCK_SEQPACKET, host));
  for (std::size_t i = 0; i < 16; ++i) EXPECT_EQ(heard_by(host), std::to_string(i));
  EXPECT_EQ(heard_by(host), std::nullopt);
}

TEST_F(UdpFlowsTest, KeepsAtMostSoManyBytesOfOneFlow) {
  config.mtu = 65'535;
  restart();
  send_udp(pattern(60'000));
  send_udp(pattern(5536));
  EXPECT_EQ(stack->counters().dropped, 0U);
  send_udp(pattern(1));
  EXPECT_EQ(stack->counters().dropped, 1U);
}

TEST_F(UdpFlowsTest, KeepsAtMostSoManyBytesOfAllFlows) {
  constexpr std::size_t kEach = 60'000;
  constexpr std::size_t kFit = DatagramFlows::kMaxPendingTotal / kEach;
  for (std::size_t i = 0; i <= kFit; ++i) send_udp(pattern(kEach), ends(static_cast<std::uint16_t>(1000 + i)));
  EXPECT_EQ(stack->counters().dropped, 1U);
  // A verdict, whatever it says, gives the memory back.
  stack->on_drop(upcalls.opened[0].flow);
  send_udp(pattern(kEach), ends(2));
  EXPECT_EQ(stack->counters().dropped, 1U);
  send_udp(pattern(kEach), ends(3));
  EXPECT_EQ(stack->counters().dropped, 2U);
}

TEST_F(UdpFlowsTest, MayBeAnsweredWhileAsking) {
  Fd host;
  upcalls.on_open = [&](const FakeUpcalls::Opened& opened) {
    stack->on_splice(opened.flow, make_pair(SOCK_SEQPACKET, host));
  };
  send_udp("at once");
  EXPECT_EQ(heard_by(host), "at once");
}

TEST_F(UdpFlowsTest, TellsARefusalForAMoment) {
  send_udp("one");
  stack->on_refuse(upcalls.opened[0].flow, Refusal::admin_prohibited);
  expect_error(only(), 3, 13);
  send_udp("two");
  expect_error(only(), 3, 13);
  EXPECT_EQ(upcalls.opened.size(), 1U);
  run_for(kSecond);
  EXPECT_EQ(stack->counters().flows, 0U);
  EXPECT_TRUE(upcalls.ends.empty());
  send_udp("three");
  EXPECT_EQ(upcalls.opened.size(), 2U);
  expect_silence();
}

TEST_F(UdpFlowsTest, SaysNothingAboutADroppedFlow) {
  send_udp("one");
  stack->on_drop(upcalls.opened[0].flow);
  send_udp("two");
  expect_silence();
  EXPECT_EQ(upcalls.opened.size(), 1U);
  run_for(kSecond);
  send_udp("three");
  EXPECT_EQ(upcalls.opened.size(), 2U);
}

TEST_F(UdpFlowsTest, TellsTheEndOfASpliceThatCameTooLate) {
  Fd host;
  stack->on_splice(with_kind(99, Kind::udp), make_pair(SOCK_SEQPACKET, host));
  ASSERT_EQ(upcalls.ends.size(), 1U);
  EXPECT_EQ(upcalls.ends[0].totals.end, End::no_resources);
  EXPECT_EQ(heard_by(host), "") << "closed";
  stack->on_refuse(with_kind(99, Kind::udp), Refusal::reset);
  stack->on_drop(with_kind(99, Kind::echo));
  expect_silence();
}

TEST_F(UdpFlowsTest, RefusesASpliceWithWhatIsNoDatagramSocket) {
  Fd host;
  send_udp("one");
  stack->on_splice(upcalls.opened[0].flow, make_pair(SOCK_STREAM, host));
  expect_error(only(), 3, 1);
  ASSERT_EQ(upcalls.ends.size(), 1U);
  EXPECT_EQ(upcalls.ends[0].totals.end, End::no_resources);
}

TEST_F(UdpFlowsTest, EndsAFlowWhoseSocketCannotBeWatched) {
  Fd host;
  send_udp("one");
  upcalls.can_watch = false;
  stack->on_splice(upcalls.opened[0].flow, make_pair(SOCK_SEQPACKET, host));
  ASSERT_EQ(upcalls.ends.size(), 1U);
  EXPECT_EQ(upcalls.ends[0].totals.end, End::no_resources);
  EXPECT_EQ(stack->counters().flows, 0U);
}

// ---- To the host ----

TEST_F(UdpFlowsTest, SendsABatchInOrder) {
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

TEST_F(UdpFlowsTest, KeepsTheBoundsOfDatagramsThatGoAsSegments) {
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

TEST_F(UdpFlowsTest, FindsThePayloadHoweverItIsCut) {
  Fd host;
  splice_pair(host);
  const Bytes payload = pattern(500);
  for (piece_bytes = 1; piece_bytes < 550; piece_bytes += 13) {
    send_udp(payload);
    EXPECT_EQ(receive_from(host), payload);
  }
}

TEST_F(UdpFlowsTest, CarriesDatagramsOfNoBytes) {
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

TEST_F(UdpFlowsTest, SendsNoMessageThatWouldMeanTheEnd) {
  Fd host;
  splice_pair(host, ends(), SOCK_SEQPACKET);
  send_udp("");
  EXPECT_EQ(heard_by(host), std::nullopt);
  send_udp("more");
  EXPECT_EQ(heard_by(host), "more");
}

TEST_F(UdpFlowsTest, LosesWhatTheHostDoesNotTake) {
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

TEST_F(UdpFlowsTest, TellsTheSocketTheGuestsHopsLessOne) {
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

TEST_F(UdpFlowsTest, PassesOnWhetherADatagramMayBeCut) {
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

TEST_F(UdpFlowsTest, DeliversWhatTheHostSays) {
  Fd host;
  splice_pair(host);
  for (const std::size_t size : {1, 7, 100, 1471, 1472}) {
    host_says(host, pattern(size));
    expect_udp(only(), ends(), pattern(size));
  }
}

TEST_F(UdpFlowsTest, LeavesTheChecksumToAGuestThatTakesThat) {
  Fd host;
  splice_pair(host);
  wire.can.csum = true;
  wire.piece_bytes = 33;
  host_says(host, pattern(700));
  ASSERT_EQ(wire.frames.size(), 1U);
  EXPECT_EQ(wire.frames[0].offload.flags, wire::kNetHeaderNeedsCsum);
  expect_udp(only(), ends(), pattern(700));
}

TEST_F(UdpFlowsTest, FragmentsWhatIsLargerThanTheMtu) {
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

TEST_F(UdpFlowsTest, DropsAMessageThatIsNoDatagram) {
  Fd host;
  splice_pair(host);
  host_says(host, pattern(65'508));
  expect_silence();
  EXPECT_EQ(stack->counters().dropped, 1U);
  host_says(host, pattern(8));
  expect_udp(only(), ends(), pattern(8));
}

TEST_F(UdpFlowsTest, LeavesInTheSocketWhatTheGuestHasNoRoomFor) {
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

TEST_F(UdpFlowsTest, TakesFlowsInTurn) {
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

// ---- Ends ----

TEST_F(UdpFlowsTest, EndsWhenIdle) {
  Fd host;
  const FlowId flow = splice_pair(host);
  run_for(119 * kSecond);
  EXPECT_EQ(stack->counters().flows, 1U);
  send_udp("still here");
  run_for(119 * kSecond);
  host_says(host, pattern(3));
  run_for(119 * kSecond);
  EXPECT_EQ(stack->counters().flows, 1U);
  run_for(kSecond);
  EXPECT_EQ(stack->counters().flows, 0U);
  ASSERT_EQ(upcalls.ends.size(), 1U);
  EXPECT_EQ(upcalls.ends[0].flow, flow);
  EXPECT_EQ(upcalls.ends[0].totals.end, End::timed_out);
  EXPECT_EQ(upcalls.ends[0].totals.bytes_out, 5 + 10U);
  EXPECT_EQ(upcalls.ends[0].totals.bytes_in, 3U);
  EXPECT_EQ(upcalls.ends[0].totals.duration_us, 358'000'000U);
  EXPECT_TRUE(upcalls.watched.empty());
  EXPECT_EQ(stack->next_deadline(), std::nullopt);
}

TEST_F(UdpFlowsTest, EndsSoonerForDns) {
  Fd host;
  splice_pair(host, ends(kGuestPort, 53));
  run_for(30 * kSecond);
  EXPECT_EQ(stack->counters().flows, 0U);
}

TEST_F(UdpFlowsTest, WakesRarelyWhileFlowsAreInUse) {
  Fd host;
  splice_pair(host);
  const auto deadline = stack->next_deadline();
  for (int i = 0; i < 50; ++i) {
    advance(kSecond);
    send_udp("in use");
    EXPECT_EQ(stack->next_deadline(), deadline);
  }
}

TEST_F(UdpFlowsTest, GivesUpAVerdictThatNeverComes) {
  send_udp("one");
  run_for(120 * kSecond);
  EXPECT_EQ(stack->counters().flows, 0U);
  EXPECT_TRUE(upcalls.ends.empty());
}

TEST_F(UdpFlowsTest, EndsWithTheHost) {
  for (const int type : {SOCK_SEQPACKET, SOCK_DGRAM}) {
    Fd host;
    splice_pair(host, ends(), type);
    upcalls.ends.clear();
    host.reset();
    descriptor_events(EPOLLIN | EPOLLHUP | EPOLLRDHUP);
    send_udp("anybody?");
    ASSERT_EQ(upcalls.ends.size(), 1U);
    EXPECT_EQ(upcalls.ends[0].totals.end, End::finished);
    EXPECT_TRUE(upcalls.watched.empty());
    // The guest is told nothing; its next datagram begins anew.
    send_udp("again");
    EXPECT_EQ(upcalls.opened.back().guest.port, kGuestPort);
    stack->on_drop(upcalls.opened.back().flow);
    run_for(kSecond);
    expect_silence();
  }
}

TEST_F(UdpFlowsTest, EndsWithTheGuestsSocket) {
  Fd host;
  splice_pair(host);
  host_says(host, pattern(5));
  refuse_as_guest(only(), kGuest);
  ASSERT_EQ(upcalls.ends.size(), 1U);
  EXPECT_EQ(upcalls.ends[0].totals.end, End::guest_reset);
  EXPECT_EQ(heard_by(host), "");
}

TEST_F(UdpFlowsTest, BelievesOnlyErrorsAboutItsFlows) {
  Fd host;
  splice_pair(host);
  host_says(host, pattern(5));
  Parsed datagram = only();
  datagram.payload[1] ^= 1;  // from another port
  refuse_as_guest(datagram, kGuest);
  EXPECT_TRUE(upcalls.ends.empty());
}

TEST_F(UdpFlowsTest, EndsWhenKilled) {
  Fd host;
  const FlowId flow = splice_pair(host);
  stack->kill(flow + 4);
  EXPECT_TRUE(upcalls.ends.empty());
  stack->kill(flow);
  ASSERT_EQ(upcalls.ends.size(), 1U);
  EXPECT_EQ(upcalls.ends[0].totals.end, End::killed);
  stack->kill(flow);
  EXPECT_EQ(upcalls.ends.size(), 1U);
}

TEST_F(UdpFlowsTest, IsSilentOnceSevered) {
  Fd host, pending;
  splice_pair(host);
  send_udp("waits", ends(5000));
  const FlowId waiting = upcalls.opened.back().flow;
  stack->sever();
  ASSERT_EQ(upcalls.ends.size(), 1U);
  EXPECT_EQ(upcalls.ends[0].totals.end, End::killed);
  EXPECT_EQ(stack->counters().flows, 0U);
  send_udp("more");
  stack->on_splice(waiting, make_pair(SOCK_SEQPACKET, pending));
  EXPECT_EQ(heard_by(pending), "");
  stack->dial(77, Protocol::udp, 53, make_pair(SOCK_DGRAM, pending), {});
  EXPECT_EQ(upcalls.ends.back().totals.end, End::killed);
  EXPECT_EQ(upcalls.opened.size(), 2U);
  expect_silence();
}

TEST_F(UdpFlowsTest, GivesTheOldestPlaceToANewFlow) {
  config.max_flows = 8;
  restart();
  std::array<Fd, 4> hosts;
  std::array<FlowId, 4> flows{};
  for (std::uint16_t i = 0; i < 4; ++i) {
    flows[i] = splice_pair(hosts[i], ends(static_cast<std::uint16_t>(1000 + i)));
    advance(kMillisecond);
  }
  send_udp("in use", ends(1000));
  advance(kMillisecond);
  EXPECT_TRUE(upcalls.ends.empty());
  send_udp("the fifth", ends(2000));
  EXPECT_EQ(stack->counters().flows, 4U);
  ASSERT_EQ(upcalls.ends.size(), 1U);
  EXPECT_EQ(upcalls.ends[0].flow, flows[1]);
  EXPECT_EQ(upcalls.ends[0].totals.end, End::no_resources);
}

TEST_F(UdpFlowsTest, BoundsAFlood) {
  config.max_flows = 64;
  restart();
  for (int i = 0; i < 10'000; ++i) {
    send_udp("x", ends(static_cast<std::uint16_t>(1 + i), static_cast<std::uint16_t>(1 + i % 60'000)));
  }
  EXPECT_EQ(stack->counters().flows, 32U);
  run_for(121 * kSecond);
  EXPECT_EQ(stack->counters().flows, 0U);
}

// ---- Dialled ----

class UdpDialTest : public UdpFlowsTest {
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
    expect_udp(frame, {{to, 9000}, {kGateway, port}}, bytes_of_text(text));
    return frame;
  }
  void answer(std::string_view text, const wire::IpAddress& from = kGuest) {
    send_udp(text, {{from, 9000}, {kGateway, port}});
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
  expect_first(ip4(127, 0, 0, 1));
  answer("from loopback", ip4(127, 0, 0, 1));
  EXPECT_EQ(heard_by(host), "from loopback");
  EXPECT_TRUE(upcalls.opened.empty());
  EXPECT_TRUE(upcalls.ends.empty());
}

TEST_F(UdpDialTest, IsRefusedWhereNobodyListens) {
  dial();
  refuse_as_guest(expect_first(kGuest), kGuest);
  refuse_as_guest(expect_first(ip4(127, 0, 0, 1)), ip4(127, 0, 0, 1));
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

}  // namespace
}  // namespace microagent::netstack
