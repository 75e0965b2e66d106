#include "netstack/arp.h"

#include "netstack/testing/stack_fixture.h"
#include "wire/arp.h"

namespace microagent::netstack {
namespace {

using namespace testing;

class ArpTest : public StackFixture {
 protected:
  static wire::ArpPacket request(const wire::IpAddress& sender, const wire::IpAddress& target) {
    wire::ArpPacket packet;
    packet.operation = wire::kArpRequest;
    packet.sender_mac = kGuestMac;
    packet.sender_ip = sender.octets();
    packet.target_ip = target.octets();
    return packet;
  }
  void ask(const wire::ArpPacket& packet, const wire::MacAddress& to = kBroadcastMac) {
    send(ethernet(wire::kEtherTypeArp, bytes_of(packet), kGuestMac, to));
  }
  void expect_reply_to(const wire::IpAddress& asker) {
    const Parsed frame = only();
    EXPECT_EQ(frame.ethernet.ether_type, wire::kEtherTypeArp);
    EXPECT_EQ(frame.ethernet.destination, kGuestMac);
    EXPECT_EQ(frame.ethernet.source, kGatewayMac);
    const auto reply = header_of<wire::ArpPacket>(frame.payload);
    EXPECT_EQ(reply.operation, wire::kArpReply);
    EXPECT_EQ(reply.sender_mac, kGatewayMac);
    EXPECT_EQ(reply.sender_ip, kGateway.octets());
    EXPECT_EQ(reply.target_mac, kGuestMac);
    EXPECT_EQ(reply.target_ip, asker.octets());
  }
};

TEST_F(ArpTest, AnswersForTheGateway) {
  ask(request(kGuest, kGateway));
  expect_reply_to(kGuest);
  ask(request(kGuest, kGateway), kGatewayMac);  // a unicast probe of its cache
  expect_reply_to(kGuest);
}

TEST_F(ArpTest, AnswersOneWhoHasNoAddressYet) {
  ask(request(ip4(0, 0, 0, 0), kGateway));
  expect_reply_to(ip4(0, 0, 0, 0));
}

TEST_F(ArpTest, AnswersTheGuestsLoopback) {
  ask(request(ip4(127, 0, 0, 1), kGateway));
  expect_reply_to(ip4(127, 0, 0, 1));
}

TEST_F(ArpTest, LeavesTheGuestsOwnAddressAndAllNeighboursAlone) {
  ask(request(ip4(0, 0, 0, 0), kGuest));  // probe
  ask(request(kGuest, kGuest));           // announcement
  ask(request(kGuest, ip4(192, 168, 64, 77)));
  ask(request(kGuest, kServer));
  expect_silence();
  EXPECT_EQ(stack->counters().spoofed, 0U);
}

TEST_F(ArpTest, NoticesWhoClaimsAnothersAddress) {
  ask(request(kGateway, kGateway));
  ask(request(ip4(192, 168, 64, 77), kGateway));
  auto foreign = request(kGuest, kGateway);
  foreign.sender_mac[5] = 9;
  ask(foreign);
  expect_silence();
  EXPECT_EQ(stack->counters().spoofed, 3U);
}

TEST_F(ArpTest, IgnoresReplies) {
  auto packet = request(kGuest, kGateway);
  packet.operation = wire::kArpReply;
  ask(packet);
  expect_silence();
}

TEST_F(ArpTest, KnowsOnlyEthernetAndIpv4) {
  const auto expect_unsupported = [this](auto change) {
    auto packet = request(kGuest, kGateway);
    change(packet);
    const auto before = stack->counters().unsupported;
    ask(packet);
    expect_silence();
    EXPECT_EQ(stack->counters().unsupported, before + 1);
  };
  expect_unsupported([](wire::ArpPacket& packet) { packet.hardware_type = 6; });
  expect_unsupported([](wire::ArpPacket& packet) { packet.protocol_type = wire::kEtherTypeIpv6; });
  expect_unsupported([](wire::ArpPacket& packet) { packet.hardware_length = 255; });
  expect_unsupported([](wire::ArpPacket& packet) { packet.protocol_length = 16; });
}

TEST_F(ArpTest, TakesNothingLessThanAWholePacket) {
  const auto packet = request(kGuest, kGateway);
  for (std::size_t size = 0; size < sizeof packet; ++size) {
    send(ethernet(wire::kEtherTypeArp, bytes_of(packet).first(size), kGuestMac, kBroadcastMac));
  }
  expect_silence();
  EXPECT_EQ(stack->counters().malformed, sizeof packet);
  // Ethernet pads to 60 bytes.
  Bytes padded = ethernet(wire::kEtherTypeArp, bytes_of(packet), kGuestMac, kBroadcastMac);
  padded.resize(60);
  send(padded);
  expect_reply_to(kGuest);
}

TEST_F(ArpTest, LosesTheReplyWithoutRoom) {
  wire.frames_of_room = 0;
  ask(request(kGuest, kGateway));
  EXPECT_EQ(stack->counters().no_room, 1U);
  wire.frames_of_room = 1;
  ask(request(kGuest, kGateway));
  expect_reply_to(kGuest);
}

}  // namespace
}  // namespace microagent::netstack
