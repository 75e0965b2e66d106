#include "netstack/icmp_errors.h"

#include <gtest/gtest.h>

#include "netstack/testing/test_environment.h"
#include "wire/udp.h"

namespace microagent::netstack {
namespace {

using namespace testing;

constexpr std::uint16_t kPort = 4000;

// A packet as the stack hands it on, with the memory it lies in.
struct OwnPacket {
  OwnPacket(const IpFields& fields, const Bytes& transport, std::size_t cut = 0) : bytes(ip_packet(fields, transport)) {
    const std::size_t header_bytes = bytes.size() - transport.size();
    const std::size_t step = cut == 0 ? transport.size() : cut;
    for (std::size_t at = header_bytes; at < bytes.size(); at += step) {
      pieces.push_back(iovec{bytes.data() + at, std::min(step, bytes.size() - at)});
    }
    packet = Packet{.source = fields.source,
                    .destination = fields.destination,
                    .protocol = fields.protocol,
                    .hop_limit = fields.hop_limit,
                    .payload = pieces,
                    .bytes = transport.size(),
                    .network_header = ByteView(bytes).first(header_bytes)};
  }

  Bytes bytes;
  std::vector<iovec> pieces;
  Packet packet;
};

OwnPacket udp_packet(std::size_t payload_bytes, const Bytes& options = {}) {
  const IpFields fields{.source = kGuest, .destination = kServer, .options = options};
  return {fields, udp_datagram({{kGuest, kPort}, {kServer, 53}}, pattern(payload_bytes))};
}

class IcmpErrorsTest : public ::testing::Test, protected TestEnvironment {
 protected:
  Parsed only() {
    const auto frames = wire.take();
    EXPECT_EQ(frames.size(), 1U);
    const Parsed parsed = frames.empty() ? Parsed{} : parse(frames.front());
    EXPECT_EQ(parsed.problem, "");
    return parsed;
  }
};

TEST_F(IcmpErrorsTest, QuotesHeaderAndEightBytes) {
  const auto refused = udp_packet(100);
  EXPECT_TRUE(icmp_errors.send(quote_of(refused.packet), Refusal::admin_prohibited));
  const Parsed error = only();
  EXPECT_EQ(error.source, kGateway);
  EXPECT_EQ(error.destination, kGuest);
  EXPECT_EQ(error.protocol, wire::kProtocolIcmp);
  const auto header = header_of<wire::IcmpHeader>(error.payload);
  EXPECT_EQ(header.type, 3);
  EXPECT_EQ(header.code, 13);
  EXPECT_EQ(header.rest, 0U);
  ASSERT_EQ(error.payload.size(), 8 + Quote::kMaxBytes);
  EXPECT_TRUE(std::equal(error.payload.begin() + 8, error.payload.end(), refused.bytes.begin()));
}

TEST_F(IcmpErrorsTest, KeepsOptionsAndWhatFollowsThem) {
  const auto refused = udp_packet(100, Bytes(40, 1));
  const Quote quote = quote_of(refused.packet);
  ASSERT_EQ(quote.size, 68U);
  EXPECT_TRUE(std::ranges::equal(quote.view(), ByteView(refused.bytes).first(68)));
}

TEST_F(IcmpErrorsTest, QuotesAllOfAShortPacket) {
  const auto refused = udp_packet(0);
  EXPECT_EQ(quote_of(refused.packet).size, 28U);
}

TEST_F(IcmpErrorsTest, SaysWhoRefuses) {
  const auto refused = udp_packet(10);
  const auto expect = [&](Refusal refusal, std::uint8_t code, const wire::IpAddress& from) {
    EXPECT_TRUE(icmp_errors.send(quote_of(refused.packet), refusal));
    const Parsed error = only();
    EXPECT_EQ(error.payload[0], 3);
    EXPECT_EQ(error.payload[1], code);
    EXPECT_EQ(error.source, from);
  };
  expect(Refusal::net_unreachable, 0, kGateway);
  expect(Refusal::host_unreachable, 1, kGateway);
  expect(Refusal::port_unreachable, 3, kServer);
  expect(Refusal::reset, 3, kServer);
  expect(Refusal::admin_prohibited, 13, kGateway);
}

TEST_F(IcmpErrorsTest, SaysTheSameOverIpv6) {
  const auto guest = address_of("fd00::2"), server = address_of("2001:db8::7");
  const OwnPacket refused({.source = guest, .destination = server}, udp_datagram({{guest, kPort}, {server, 53}}, {}));
  const auto expect = [&](Refusal refusal, std::uint8_t code) {
    EXPECT_TRUE(icmp_errors.send(quote_of(refused.packet), refusal));
    const Parsed error = only();
    EXPECT_EQ(error.protocol, wire::kProtocolIcmpv6);
    EXPECT_EQ(error.payload[0], 1);
    EXPECT_EQ(error.payload[1], code);
    EXPECT_EQ(error.payload.size(), 8U + 48U);
  };
  expect(Refusal::net_unreachable, 0);
  expect(Refusal::admin_prohibited, 1);
  expect(Refusal::host_unreachable, 3);
  expect(Refusal::port_unreachable, 4);
}

TEST_F(IcmpErrorsTest, TellsTheMtu) {
  const auto large = udp_packet(1400);
  EXPECT_TRUE(icmp_errors.send(large.packet, too_big(1280, Family::ipv4)));
  const Parsed error = only();
  const auto header = header_of<wire::IcmpHeader>(error.payload);
  EXPECT_EQ(header.type, 3);
  EXPECT_EQ(header.code, 4);
  EXPECT_EQ(header.rest, 1280U);
  EXPECT_EQ(error.payload.size() + sizeof(wire::Ipv4Header), IcmpErrors::kMaxPacket4);
  EXPECT_EQ(too_big(1280, Family::ipv6).type, 2);
  EXPECT_EQ(too_big(100'000, Family::ipv4).rest, 0xffffU);
}

TEST_F(IcmpErrorsTest, QuotesNoMoreThanTheRuleAllowsOverIpv6) {
  const auto guest = address_of("fd00::2"), server = address_of("2001:db8::7");
  const OwnPacket large({.source = guest, .destination = server},
                        udp_datagram({{guest, kPort}, {server, 53}}, pattern(1400)));
  EXPECT_TRUE(icmp_errors.send(large.packet, time_exceeded(0, Family::ipv6)));
  const Parsed error = only();
  EXPECT_EQ(error.payload.size() + sizeof(wire::Ipv6Header), IcmpErrors::kMaxPacket6);
  EXPECT_EQ(error.payload[0], 3);
}

TEST_F(IcmpErrorsTest, NamesAnotherSender) {
  const auto refused = udp_packet(10);
  const auto router = ip4(203, 0, 113, 9);
  EXPECT_TRUE(icmp_errors.send(quote_of(refused.packet), time_exceeded(0, Family::ipv4), router));
  const Parsed error = only();
  EXPECT_EQ(error.source, router);
  EXPECT_EQ(error.payload[0], 11);
}

TEST_F(IcmpErrorsTest, SendsABurstAndThenAtItsRate) {
  const Quote quote = quote_of(udp_packet(10).packet);
  for (std::uint64_t i = 0; i < IcmpErrors::kBurst; ++i) EXPECT_TRUE(icmp_errors.send(quote, Refusal::reset)) << i;
  EXPECT_FALSE(icmp_errors.send(quote, Refusal::reset));
  environment.now_ns += 1'000'000'000 / IcmpErrors::kPerSecond;
  EXPECT_TRUE(icmp_errors.send(quote, Refusal::reset));
  EXPECT_FALSE(icmp_errors.send(quote, Refusal::reset));
  environment.now_ns += 3600ULL * 1'000'000'000;
  for (std::uint64_t i = 0; i < IcmpErrors::kBurst; ++i) EXPECT_TRUE(icmp_errors.send(quote, Refusal::reset)) << i;
  EXPECT_FALSE(icmp_errors.send(quote, Refusal::reset));
  EXPECT_EQ(wire.take().size(), 2 * IcmpErrors::kBurst + 1);
}

TEST_F(IcmpErrorsTest, SaysNothingAboutNothing) {
  EXPECT_FALSE(icmp_errors.send(Quote{}, Refusal::reset));
  EXPECT_TRUE(wire.take().empty());
}

TEST_F(IcmpErrorsTest, LosesTheErrorWithoutRoom) {
  wire.frames_of_room = 0;
  EXPECT_FALSE(icmp_errors.send(quote_of(udp_packet(10).packet), Refusal::reset));
  EXPECT_EQ(counters.no_room, 1U);
}

TEST(ChecksumOk, IsRightForEveryProtocolHoweverThePayloadIsCut) {
  const IpFields udp{.source = kGuest, .destination = kServer};
  IpFields icmp = udp, tcp = udp;
  icmp.protocol = wire::kProtocolIcmp;
  tcp.protocol = wire::kProtocolTcp;
  Bytes segment = pattern(61);
  put_checksum(segment, 16, tcp);
  const std::vector<std::pair<IpFields, Bytes>> all{
      {udp, udp_datagram({{kGuest, kPort}, {kServer, 53}}, pattern(33))},
      {icmp, echo_message(icmp, 8, 1, 1, pattern(55))},
      {tcp, segment},
  };
  for (const auto& [fields, transport] : all) {
    for (std::size_t cut = 1; cut <= transport.size(); ++cut) {
      OwnPacket own(fields, transport, cut);
      EXPECT_TRUE(checksum_ok(own.packet)) << unsigned{fields.protocol} << " " << cut;
      own.bytes.back() ^= 1;
      EXPECT_FALSE(checksum_ok(own.packet)) << unsigned{fields.protocol} << " " << cut;
      own.packet.checksum_left_out = true;
      EXPECT_TRUE(checksum_ok(own.packet));
    }
  }
}

TEST(ChecksumOk, LetsAnIpv4SenderMakeNone) {
  Bytes datagram = udp_datagram({{kGuest, kPort}, {kServer, 53}}, pattern(33));
  datagram[6] = datagram[7] = 0;
  const OwnPacket own({.source = kGuest, .destination = kServer}, datagram, 3);
  EXPECT_TRUE(checksum_ok(own.packet));

  const auto guest = address_of("fd00::2"), server = address_of("2001:db8::7");
  Bytes datagram6 = udp_datagram({{guest, kPort}, {server, 53}}, pattern(33));
  datagram6[6] = datagram6[7] = 0;
  const OwnPacket own6({.source = guest, .destination = server}, datagram6, 3);
  EXPECT_FALSE(checksum_ok(own6.packet));
}

}  // namespace
}  // namespace microagent::netstack
