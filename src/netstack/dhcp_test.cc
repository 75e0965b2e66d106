#include "netstack/dhcp.h"

#include <map>

#include "netstack/testing/stack_fixture.h"
#include "wire/udp.h"

namespace microagent::netstack {
namespace {

using namespace testing;
using wire::DhcpHeader;
using wire::DhcpKind;
using wire::Ipv4Octets;

const wire::IpAddress kNobody = ip4(0, 0, 0, 0);
const wire::IpAddress kAll = ip4(255, 255, 255, 255);

class DhcpTest : public StackFixture {
 protected:
  struct Ask {
    DhcpKind kind = DhcpKind::discover;
    std::optional<Ipv4Octets> requested, server;
    Ipv4Octets client{};
    std::uint16_t flags = 0;
    wire::MacAddress mac = kGuestMac;
    Bytes more;  // options
  };
  struct Reply {
    Parsed frame;
    DhcpHeader header;
    std::map<int, Bytes> options;
    DhcpKind kind() { return options[53].size() == 1 ? static_cast<DhcpKind>(options[53][0]) : DhcpKind{}; }
  };

  static Bytes message(const Ask& ask) {
    DhcpHeader header;
    header.operation = DhcpHeader::kRequest;
    header.transaction = 0xfeedbeef;
    header.flags = ask.flags;
    header.client = ask.client;
    std::ranges::copy(ask.mac, header.hardware_address.begin());
    Bytes options{53, 1, static_cast<std::uint8_t>(ask.kind)};
    const auto add = [&options](std::uint8_t option, const std::optional<Ipv4Octets>& value) {
      if (!value) return;
      options.insert(options.end(), {option, 4});
      options.insert(options.end(), value->begin(), value->end());
    };
    add(50, ask.requested);
    add(54, ask.server);
    options.insert(options.end(), ask.more.begin(), ask.more.end());
    options.push_back(255);
    return joined({bytes_of(header), options});
  }
  void ask(const Ask& ask, const wire::IpAddress& from = kNobody, const wire::IpAddress& to = kAll) {
    send_message(message(ask), from, to);
  }
  void send_message(ByteView bytes, const wire::IpAddress& from = kNobody, const wire::IpAddress& to = kAll) {
    const Bytes datagram = udp_datagram({{from, 68}, {to, 67}}, bytes);
    send(ethernet(wire::kEtherTypeIpv4, ip_packet({.source = from, .destination = to}, datagram), kGuestMac,
                  to == kAll ? kBroadcastMac : kGatewayMac));
  }
  Reply reply() {
    Reply out{.frame = only(), .header = {}, .options = {}};
    EXPECT_EQ(out.frame.source, kGateway);
    const auto udp = header_of<wire::UdpHeader>(out.frame.payload);
    EXPECT_EQ(udp.source_port, 67);
    EXPECT_EQ(udp.destination_port, 68);
    out.header = header_of<DhcpHeader>(out.frame.payload, sizeof udp);
    EXPECT_EQ(out.header.transaction, 0xfeedbeefU);
    Reader reader(ByteView(out.frame.payload).subspan(sizeof udp + sizeof(DhcpHeader)));
    std::uint8_t option = 0, length = 0;
    ByteView value;
    while (reader.read(option) && option != 255 && reader.read(length) && reader.take(length, value)) {
      out.options[option] = Bytes(value.begin(), value.end());
    }
    return out;
  }
  void expect_acknowledged(const wire::IpAddress& to) {
    Reply told = reply();
    EXPECT_EQ(told.kind(), DhcpKind::acknowledge);
    EXPECT_EQ(told.frame.destination, to);
    EXPECT_EQ(told.header.yours, kGuest.octets());
  }
  void expect_refused() {
    Reply told = reply();
    EXPECT_EQ(told.kind(), DhcpKind::refuse);
    EXPECT_EQ(told.frame.destination, kAll);
    EXPECT_EQ(told.frame.ethernet.destination, kBroadcastMac);
    EXPECT_EQ(told.header.yours, Ipv4Octets{});
  }
};

TEST_F(DhcpTest, OffersTheGuestItsAddress) {
  ask({});
  Reply told = reply();
  EXPECT_EQ(told.kind(), DhcpKind::offer);
  EXPECT_EQ(told.header.yours, kGuest.octets());
  EXPECT_EQ(told.frame.destination, kGuest);
  EXPECT_EQ(told.frame.ethernet.destination, kGuestMac);
  EXPECT_EQ(told.options[1], (Bytes{255, 255, 255, 0}));
  EXPECT_EQ(told.options[3], (Bytes{192, 168, 64, 1}));
  EXPECT_EQ(told.options[6], (Bytes{192, 168, 64, 1}));
  EXPECT_EQ(told.options[26], (Bytes{1500 >> 8, 1500 & 255}));
  EXPECT_EQ(told.options[54], (Bytes{192, 168, 64, 1}));
  EXPECT_TRUE(upcalls.opened.empty());
}

TEST_F(DhcpTest, SpeaksToEverybodyWhenAsked) {
  ask({.flags = DhcpHeader::kBroadcast});
  const Reply told = reply();
  EXPECT_EQ(told.frame.destination, kAll);
  EXPECT_EQ(told.frame.ethernet.destination, kBroadcastMac);
}

TEST_F(DhcpTest, AcknowledgesInEveryStateOfTheClient) {
  ask({.kind = DhcpKind::request, .requested = kGuest.octets(), .server = kGateway.octets()});  // selecting
  expect_acknowledged(kGuest);
  ask({.kind = DhcpKind::request, .requested = kGuest.octets()});  // after a restart
  expect_acknowledged(kGuest);
  ask({.kind = DhcpKind::request, .client = kGuest.octets()}, kGuest, kGateway);  // renewing
  expect_acknowledged(kGuest);
  ask({.kind = DhcpKind::request, .client = kGuest.octets()}, kGuest, kAll);  // rebinding
  expect_acknowledged(kGuest);
}

TEST_F(DhcpTest, RefusesAnotherAddress) {
  ask({.kind = DhcpKind::request, .requested = Ipv4Octets{10, 0, 0, 5}, .server = kGateway.octets()});
  expect_refused();
  ask({.kind = DhcpKind::request, .requested = Ipv4Octets{10, 0, 0, 5}});
  expect_refused();
  ask({.kind = DhcpKind::request, .client = Ipv4Octets{192, 168, 64, 3}});
  expect_refused();
  ask({.kind = DhcpKind::request, .requested = kGuest.octets(), .client = Ipv4Octets{192, 168, 64, 3}});
  expect_refused();
  ask({.kind = DhcpKind::request});
  expect_refused();
}

TEST_F(DhcpTest, LeavesAnothersClientAlone) {
  ask({.kind = DhcpKind::request, .requested = kGuest.octets(), .server = Ipv4Octets{192, 168, 64, 9}});
  expect_silence();
}

TEST_F(DhcpTest, InformsOneWhoHasItsAddress) {
  ask({.kind = DhcpKind::inform, .client = kGuest.octets()}, kGuest, kAll);
  Reply told = reply();
  EXPECT_EQ(told.kind(), DhcpKind::acknowledge);
  EXPECT_EQ(told.header.yours, Ipv4Octets{});
  EXPECT_FALSE(told.options.contains(51));
  EXPECT_TRUE(told.options.contains(6));
  ask({.kind = DhcpKind::inform, .client = Ipv4Octets{1, 2, 3, 4}}, kGuest, kAll);
  expect_silence();
}

TEST_F(DhcpTest, DoesNotAnswerWhatAsksNothing) {
  for (const int kind : {2, 4, 5, 6, 7, 9, 255}) ask({.kind = static_cast<DhcpKind>(kind)});
  expect_silence();
  EXPECT_EQ(stack->counters().malformed, 0U);
}

TEST_F(DhcpTest, KnowsOnlyItsGuest) {
  ask({.mac = {2, 0, 0, 0, 0, 9}});
  Bytes relayed = message({});
  relayed[24] = 10;
  send_message(relayed);
  expect_silence();
  EXPECT_EQ(stack->counters().spoofed, 2U);
}

TEST_F(DhcpTest, GivesTheClientItsIdentifierBack) {
  Bytes identifier(257, 3);
  identifier[0] = 61;
  identifier[1] = 255;
  ask({.more = identifier});
  EXPECT_EQ(reply().options[61], Bytes(255, 3));
}

TEST_F(DhcpTest, TakesNoPrefixOfAMessage) {
  const Bytes whole = message({});
  for (std::size_t size = 0; size < whole.size() - 1; ++size) send_message(ByteView(whole).first(size));
  expect_silence();
  EXPECT_EQ(stack->counters().malformed, whole.size() - 1);
  Bytes large = whole;
  large.resize(1472, 0);
  send_message(large);
  EXPECT_EQ(reply().kind(), DhcpKind::offer);
}

TEST_F(DhcpTest, ListensOnItsPortOnly) {
  send(ip_frame({.source = kNobody, .destination = kAll}, udp_datagram({{kNobody, 68}, {kAll, 69}}, message({}))));
  expect_silence();
  EXPECT_EQ(stack->counters().unsupported, 1U);
}

}  // namespace
}  // namespace microagent::netstack
