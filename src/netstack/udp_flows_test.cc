// Which datagrams open flows, and what becomes of them while their verdict is awaited.

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

}  // namespace
}  // namespace microagent::netstack
