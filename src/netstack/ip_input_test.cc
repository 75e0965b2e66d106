#include "netstack/ip_input.h"

#include "netstack/testing/stack_fixture.h"
#include "wire/icmp.h"
#include "wire/virtio.h"

namespace microagent::netstack {
namespace {

using namespace testing;

// An echo request to the gateway: the one packet that is always answered when it is right.
class IpInputTest : public StackFixture {
 protected:
  static IpFields to_gateway() { return {.source = kGuest, .destination = kGateway, .protocol = wire::kProtocolIcmp}; }
  static Bytes echo(std::size_t payload_bytes = 20) {
    return echo_message(to_gateway(), wire::kIcmpEchoRequest, 7, 1, pattern(payload_bytes));
  }
  // The packet after `change`, its header checksum made anew.
  template <typename Change>
  void send_changed(Change change, bool fix = true) {
    Bytes packet = ip_packet(to_gateway(), echo());
    change(packet);
    if (fix) fix_header_checksum(packet);
    send(ethernet(wire::kEtherTypeIpv4, packet));
  }
  void expect_malformed() {
    expect_silence();
    EXPECT_EQ(stack->counters().malformed, ++malformed);
  }
  void expect_answer() { EXPECT_EQ(only().payload[0], wire::kIcmpEchoReply); }
  // An ICMP error of the gateway's.
  void expect_error(std::uint8_t type, std::uint8_t code) {
    const Parsed frame = only();
    EXPECT_EQ(frame.source, kGateway);
    EXPECT_EQ(frame.protocol, wire::kProtocolIcmp);
    EXPECT_EQ(frame.payload[0], type);
    EXPECT_EQ(frame.payload[1], code);
  }

  std::uint64_t malformed = 0;
};

TEST_F(IpInputTest, FindsTheHeadersHoweverTheFrameIsCut) {
  const Bytes frame = ip_frame(to_gateway(), echo());
  for (piece_bytes = 1; piece_bytes <= frame.size(); ++piece_bytes) {
    send(frame);
    expect_answer();
  }
}

TEST_F(IpInputTest, TakesNoPrefixOfAFrame) {
  const Bytes frame = ip_frame(to_gateway(), echo());
  for (std::size_t size = 1; size < frame.size(); ++size) {
    send(Bytes(frame.begin(), frame.begin() + static_cast<std::ptrdiff_t>(size)));
    expect_malformed();
  }
}

TEST_F(IpInputTest, CutsOffTheEthernetPadding) {
  Bytes frame = ip_frame(to_gateway(), echo(0));
  frame.resize(60, 0xee);
  send(frame);
  EXPECT_EQ(only().payload.size(), 8U);
}

TEST_F(IpInputTest, SkipsOptions) {
  for (std::size_t words = 1; words <= 10; ++words) {
    IpFields fields = to_gateway();
    fields.options = Bytes(words * 4, 0xff);  // of a length that no walk over them would survive
    send(ip_frame(fields, echo()));
    expect_answer();
  }
}

TEST_F(IpInputTest, RefusesWrongLengths) {
  send_changed([](Bytes& packet) { packet[0] = 0x44; });  // header of four words
  expect_malformed();
  send_changed([](Bytes& packet) { packet[0] = 0x40; });
  expect_malformed();
  send_changed([](Bytes& packet) { packet[0] = 0x65; });  // version 6
  expect_malformed();
  send_changed([](Bytes& packet) { packet[0] = 0x4f; }, false);  // header longer than the packet
  expect_malformed();
  send_changed([](Bytes& packet) { packet[3] = 19; });  // total length below the header's
  expect_malformed();
  send_changed([](Bytes& packet) { packet[2] = packet[3] = 0; });
  expect_malformed();
  send_changed([](Bytes& packet) { ++packet[3]; });  // one byte more than there is
  expect_malformed();
  send_changed([](Bytes& packet) { packet[2] = 0xff; });
  expect_malformed();
}

TEST_F(IpInputTest, RefusesAWrongHeaderChecksum) {
  send_changed([](Bytes& packet) { packet[10] ^= 1; }, false);
  expect_malformed();
  send_changed([](Bytes& packet) { packet[8] -= 1; }, false);
  expect_malformed();
}

TEST_F(IpInputTest, RefusesAForeignSource) {
  const auto expect_spoofed = [this](const wire::IpAddress& source) {
    IpFields fields = to_gateway();
    fields.source = source;
    const auto before = stack->counters().spoofed;
    send(ip_frame(fields, echo()));
    expect_silence();
    EXPECT_EQ(stack->counters().spoofed, before + 1);
  };
  expect_spoofed(kGateway);
  expect_spoofed(kServer);
  expect_spoofed(ip4(192, 168, 64, 3));
  expect_spoofed(ip4(0, 0, 0, 0));
  expect_spoofed(ip4(255, 255, 255, 255));
  expect_spoofed(ip4(127, 0, 0, 2));
}

TEST_F(IpInputTest, HearsTheLoopbackOnlyTowardsTheGateway) {
  IpFields fields = to_gateway();
  fields.source = ip4(127, 0, 0, 1);
  send(ip_frame(fields, echo()));
  EXPECT_EQ(only().destination, fields.source);
  fields.destination = kServer;
  send(ip_frame(fields, echo()));
  expect_silence();
  EXPECT_EQ(stack->counters().spoofed, 1U);
}

TEST_F(IpInputTest, RefusesAForeignMac) {
  const Bytes packet = ip_packet(to_gateway(), echo());
  send(ethernet(wire::kEtherTypeIpv4, packet, kGatewayMac));
  send(ethernet(wire::kEtherTypeIpv4, packet, kBroadcastMac));
  expect_silence();
  EXPECT_EQ(stack->counters().spoofed, 2U);
  send(ethernet(wire::kEtherTypeIpv4, packet, kGuestMac, {2, 0, 0, 0, 0, 99}));
  expect_silence();
  EXPECT_EQ(stack->counters().unsupported, 1U);
}

TEST_F(IpInputTest, CountsOtherEtherTypes) {
  const Bytes packet = ip_packet(to_gateway(), echo());
  for (const int type : {0x8100, 0x88a8, 0x88cc, 0x0000, 0x86dd}) {
    send(ethernet(static_cast<std::uint16_t>(type), packet));
  }
  expect_silence();
  EXPECT_EQ(stack->counters().unsupported, 5U);
}

TEST_F(IpInputTest, KnowsWhereAPacketMayGo) {
  EXPECT_EQ(reach_of(kGateway, config), Reach::gateway);
  EXPECT_EQ(reach_of(kServer, config), Reach::elsewhere);
  EXPECT_EQ(reach_of(ip4(169, 254, 169, 254), config), Reach::elsewhere) << "for the policy to judge";
  EXPECT_EQ(reach_of(ip4(192, 168, 65, 1), config), Reach::elsewhere);
  EXPECT_EQ(reach_of(ip4(192, 168, 64, 3), config), Reach::absent);
  EXPECT_EQ(reach_of(ip4(192, 168, 64, 0), config), Reach::absent);
  EXPECT_EQ(reach_of(ip4(192, 168, 64, 255), config), Reach::everybody);
  EXPECT_EQ(reach_of(ip4(255, 255, 255, 255), config), Reach::everybody);
  EXPECT_EQ(reach_of(ip4(224, 0, 0, 251), config), Reach::everybody);
  EXPECT_EQ(reach_of(ip4(239, 255, 255, 250), config), Reach::everybody);
  EXPECT_EQ(reach_of(ip4(240, 0, 0, 1), config), Reach::elsewhere) << "the guest's kernel sends it";
  EXPECT_EQ(reach_of(ip4(0, 1, 2, 3), config), Reach::elsewhere) << "so it does this";
  EXPECT_EQ(reach_of(ip4(127, 0, 0, 1), config), Reach::nowhere);
  EXPECT_EQ(reach_of(ip4(0, 0, 0, 0), config), Reach::nowhere);
  EXPECT_EQ(reach_of(ip4(127, 255, 255, 255), config), Reach::nowhere);
  EXPECT_EQ(reach_of(kGuest, config), Reach::nowhere);
  config.prefix_length = 32;
  EXPECT_EQ(reach_of(ip4(192, 168, 64, 3), config), Reach::elsewhere);
}

TEST_F(IpInputTest, TellsThatANeighbourDoesNotExist) {
  IpFields fields = to_gateway();
  fields.destination = ip4(192, 168, 64, 9);
  send(ip_frame(fields, echo()));
  expect_error(3, 1);
}

TEST_F(IpInputTest, IsAHopOnTheWay) {
  IpFields fields = to_gateway();
  fields.destination = kServer;
  for (const int hops : {0, 1}) {
    fields.hop_limit = static_cast<std::uint8_t>(hops);
    send(ip_frame(fields, echo()));
    expect_error(11, 0);
  }
  fields.destination = kGateway;
  send(ip_frame(fields, echo()));
  expect_answer();
}

TEST_F(IpInputTest, AnswersNoErrorWithAnError) {
  IpFields fields = to_gateway();
  fields.destination = kServer;
  fields.hop_limit = 1;
  wire::IcmpHeader unreachable;
  unreachable.type = wire::kIcmpUnreachable;
  send(ip_frame(fields, icmp_message(fields, unreachable, pattern(40))));
  expect_silence();
}

TEST_F(IpInputTest, DropsWhatHasNoPort) {
  IpFields fields = to_gateway();
  fields.destination = kServer;
  for (const int protocol : {2, 41, 47, 50, 132, 58, 255}) {
    fields.protocol = static_cast<std::uint8_t>(protocol);
    send(ip_frame(fields, pattern(40)));
  }
  fields.destination = ip4(224, 0, 0, 22);
  send(ip_frame(fields, pattern(40)));
  expect_silence();
  EXPECT_EQ(stack->counters().unsupported, 8U);
}

TEST(OffloadFits, OnlyThePacketsOwnChecksumMayBeLeftOut) {
  std::vector<iovec> none;
  Packet packet{.source = kGuest, .destination = kServer, .protocol = wire::kProtocolTcp, .payload = none, .bytes = 18};
  const auto fits = [&packet](std::uint16_t start, std::uint16_t offset) {
    packet.offload = {.flags = wire::kNetHeaderNeedsCsum, .csum_start = start, .csum_offset = offset};
    return offload_fits(packet, 34);
  };
  EXPECT_TRUE(fits(34, 16));
  EXPECT_FALSE(fits(33, 16));
  EXPECT_FALSE(fits(54, 16));
  EXPECT_FALSE(fits(34, 6));
  EXPECT_FALSE(fits(34, 0xffff));
  EXPECT_FALSE(fits(0xffff, 16));
  packet.bytes = 17;  // the field itself would lie outside
  EXPECT_FALSE(fits(34, 16));
  packet.protocol = wire::kProtocolUdp;
  EXPECT_TRUE(fits(34, 6));
  packet.protocol = wire::kProtocolIcmp;
  EXPECT_FALSE(fits(34, 2));
}

TEST(OffloadFits, DatagramsAreSegmentedWithinBounds) {
  std::vector<iovec> none;
  Packet packet{
      .source = kGuest, .destination = kServer, .protocol = wire::kProtocolUdp, .payload = none, .bytes = 12'808};
  const auto fits = [&packet](std::uint8_t type, std::uint16_t size, std::uint8_t flags = wire::kNetHeaderNeedsCsum) {
    packet.offload = {.flags = flags, .gso_type = type, .gso_size = size, .csum_start = 34, .csum_offset = 6};
    return offload_fits(packet, 34);
  };
  EXPECT_TRUE(fits(wire::kNetHeaderGsoUdp, 1200));
  EXPECT_TRUE(fits(wire::kNetHeaderGsoUdp, 100));
  EXPECT_FALSE(fits(wire::kNetHeaderGsoUdp, 99)) << "more than 128 of them";
  packet.bytes = 12'809;
  EXPECT_FALSE(fits(wire::kNetHeaderGsoUdp, 100)) << "a 129th of one byte";
  EXPECT_FALSE(fits(wire::kNetHeaderGsoUdp, 0));
  EXPECT_FALSE(fits(wire::kNetHeaderGsoUdp, 1200, 0));
  packet.protocol = wire::kProtocolTcp;
  EXPECT_FALSE(fits(wire::kNetHeaderGsoUdp, 1200));
}

TEST(OffloadFits, OnlyTcpOfTheRightFamilyIsSegmented) {
  std::vector<iovec> none;
  Packet packet{
      .source = kGuest, .destination = kServer, .protocol = wire::kProtocolTcp, .payload = none, .bytes = 4000};
  const auto fits = [&packet](std::uint8_t type, std::uint16_t size, bool checksum = true) {
    packet.offload = {.gso_type = type, .gso_size = size};
    if (checksum) packet.offload.flags = wire::kNetHeaderNeedsCsum;
    packet.offload.csum_start = 34;
    packet.offload.csum_offset = packet.protocol == wire::kProtocolTcp ? 16 : 6;
    return offload_fits(packet, 34);
  };
  EXPECT_TRUE(fits(wire::kNetHeaderGsoTcp4, 1448));
  EXPECT_FALSE(fits(wire::kNetHeaderGsoTcp4, 0));
  EXPECT_FALSE(fits(wire::kNetHeaderGsoTcp6, 1448));
  EXPECT_FALSE(fits(wire::kNetHeaderGsoTcp4, 1448, false));
  EXPECT_FALSE(fits(3, 1448));
  packet.protocol = wire::kProtocolUdp;
  EXPECT_FALSE(fits(wire::kNetHeaderGsoTcp4, 1448));
}

}  // namespace
}  // namespace microagent::netstack
