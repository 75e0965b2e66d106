#include "netstack/icmp.h"

#include "netstack/testing/stack_fixture.h"

namespace microagent::netstack {
namespace {

using namespace testing;

IpFields to_gateway() { return {.source = kGuest, .destination = kGateway, .protocol = wire::kProtocolIcmp}; }

class GatewayEchoTest : public StackFixture {
 protected:
  void ping(std::uint16_t identifier, std::uint16_t sequence, ByteView payload) {
    send(ip_frame(to_gateway(), echo_message(to_gateway(), wire::kIcmpEchoRequest, identifier, sequence, payload)));
  }
};

TEST_F(GatewayEchoTest, IsAnsweredByTheGateway) {
  const Bytes payload = pattern(56);
  ping(0x1234, 7, payload);
  const Parsed frame = only();
  EXPECT_EQ(frame.source, kGateway);
  EXPECT_EQ(frame.destination, kGuest);
  const auto header = header_of<wire::IcmpEchoHeader>(frame.payload);
  EXPECT_EQ(header.type, wire::kIcmpEchoReply);
  EXPECT_EQ(header.identifier, 0x1234);
  EXPECT_EQ(header.sequence, 7);
  EXPECT_TRUE(std::ranges::equal(ByteView(frame.payload).subspan(8), payload));
}

TEST_F(GatewayEchoTest, WorksInEverySizeThatFitsTheMtu) {
  for (std::size_t size = 0; size <= 1472; size += size < 40 ? 1 : 179) {
    ping(1, 1, pattern(size));
    EXPECT_EQ(only().payload.size(), 8 + size);
  }
}

TEST_F(GatewayEchoTest, NeedsARightChecksumAndAWholeHeader) {
  Bytes message = echo_message(to_gateway(), wire::kIcmpEchoRequest, 1, 1, pattern(8));
  for (std::size_t at = 0; at < message.size(); ++at) {
    Bytes wrong = message;
    wrong[at] ^= 0x10;
    send(ip_frame(to_gateway(), wrong));
  }
  for (std::size_t size = 0; size < 8; ++size) {
    Bytes part(message.begin(), message.begin() + static_cast<std::ptrdiff_t>(size));
    if (size >= 4) put_checksum(part, 2, to_gateway());
    send(ip_frame(to_gateway(), part));
  }
  expect_silence();
  EXPECT_EQ(stack->counters().malformed, message.size() + 8);
}

TEST_F(GatewayEchoTest, IsTheOnlyQuestionAnswered) {
  for (const int type : {0, 4, 5, 9, 10, 13, 15, 17, 18, 42, 255}) {
    wire::IcmpHeader header;
    header.type = static_cast<std::uint8_t>(type);
    send(ip_frame(to_gateway(), icmp_message(to_gateway(), header, pattern(12))));
  }
  expect_silence();
  EXPECT_EQ(stack->counters().unsupported, 11U);
}

TEST_F(GatewayEchoTest, LosesTheReplyWithoutRoom) {
  wire.frames_of_room = 0;
  ping(1, 1, pattern(8));
  expect_silence();
  EXPECT_EQ(stack->counters().no_room, 1U);
}

// What the guest says about packets of ours.
class GuestErrorTest : public ::testing::Test, protected TestEnvironment {
 protected:
  // Our packet as the guest quotes it.
  static Bytes quoted(std::uint8_t protocol = wire::kProtocolTcp, const wire::IpAddress& to = kGuest) {
    return ip_packet({.source = kServer, .destination = to, .protocol = protocol}, pattern(8));
  }
  Icmp::Kind give(std::uint8_t type, std::uint8_t code, ByteView rest) {
    wire::IcmpHeader header;
    header.type = type;
    header.code = code;
    header.rest = 1400;
    message = icmp_message(to_gateway(), header, rest);
    piece = iovec{message.data(), message.size()};
    Packet packet{.source = kGuest,
                  .destination = kServer,
                  .protocol = wire::kProtocolIcmp,
                  .payload = {&piece, 1},
                  .bytes = message.size()};
    return icmp.on_packet(packet, false, error);
  }

  Icmp icmp{environment};
  Bytes message;
  iovec piece{};
  GuestError error;
};

TEST_F(GuestErrorTest, IsTakenApart) {
  ASSERT_EQ(give(3, 3, quoted()), Icmp::Kind::error);
  EXPECT_EQ(error.protocol, wire::kProtocolTcp);
  EXPECT_EQ(error.from, kServer);
  EXPECT_EQ(error.to, kGuest);
  EXPECT_TRUE(error.unreachable);
  EXPECT_TRUE(std::ranges::equal(error.quoted, pattern(8)));
  ASSERT_EQ(give(3, 4, quoted(wire::kProtocolUdp)), Icmp::Kind::error);
  EXPECT_EQ(error.protocol, wire::kProtocolUdp);
  EXPECT_FALSE(error.unreachable);
  EXPECT_EQ(error.error.rest, 1400U);
  ASSERT_EQ(give(11, 1, quoted()), Icmp::Kind::error);
  EXPECT_FALSE(error.unreachable);
}

TEST_F(GuestErrorTest, NeedsAWholeQuoteOfAPacketToTheGuest) {
  const Bytes whole = quoted();
  for (std::size_t size = 0; size < whole.size(); ++size) {
    EXPECT_EQ(give(3, 3, ByteView(whole).first(size)), Icmp::Kind::done);
  }
  EXPECT_EQ(give(3, 3, quoted(6, kServer)), Icmp::Kind::done);
  EXPECT_EQ(counters.malformed, whole.size() + 1);
}

TEST_F(GuestErrorTest, WalksNoFurtherThanTheQuotedHeaderSays) {
  Bytes bad = quoted();
  bad[0] = 0x4f;  // its options would end behind the quote
  EXPECT_EQ(give(3, 3, bad), Icmp::Kind::done);
  bad[0] = 0x44;
  EXPECT_EQ(give(3, 3, bad), Icmp::Kind::done);
  bad[0] = 0x65;
  EXPECT_EQ(give(3, 3, bad), Icmp::Kind::done);
  bad = quoted();
  bad[7] = 1;  // a fragment that holds no ports
  EXPECT_EQ(give(3, 3, bad), Icmp::Kind::done);
}

TEST_F(GuestErrorTest, IsLookedAtNoFurtherThanNeeded) {
  Bytes longer = quoted();
  longer.resize(4000, 1);
  ASSERT_EQ(give(3, 3, longer), Icmp::Kind::error);
  EXPECT_LE(error.quoted.size(), Quote::kMaxBytes);
}

}  // namespace
}  // namespace microagent::netstack
