// IPv6 through the stack: headers, neighbours, and the same protocols as over IPv4.

#include "netstack/testing/datagram_fixture.h"
#include "wire/dhcp6.h"
#include "wire/ndp.h"
#include "wire/virtio.h"

namespace microagent::netstack {
namespace {

using namespace testing;

const wire::IpAddress kGuest6 = address_of("fd12:3456::2");
const wire::IpAddress kGateway6 = address_of("fd12:3456::1");
const wire::IpAddress kServer6 = address_of("2001:db8::7");
const wire::IpAddress kLinkLocal = address_of("fe80::abcd");
const wire::IpAddress kGatewayLinkLocal = address_of("fe80::ff:fe00:1");
const wire::IpAddress kNone6 = address_of("::");
const wire::IpAddress kAllNodes = address_of("ff02::1");
const wire::IpAddress kAllRouters = address_of("ff02::2");
const wire::IpAddress kServers = address_of("ff02::1:2");

class Ip6Test : public DatagramFixture {
 protected:
  Ip6Test() {
    config.has_ipv6 = true;
    config.guest_ip6 = kGuest6.bytes;
    config.gateway_ip6 = kGateway6.bytes;
    restart();
  }

  static IpFields between(const wire::IpAddress& source, const wire::IpAddress& destination,
                          std::uint8_t protocol = wire::kProtocolIcmpv6) {
    return {.source = source, .destination = destination, .protocol = protocol};
  }
  static Bytes echo(const IpFields& fields, std::size_t payload_bytes = 20) {
    return echo_message(fields, wire::kIcmpv6EchoRequest, 7, 1, pattern(payload_bytes));
  }
  void ping(const wire::IpAddress& source, const wire::IpAddress& destination) {
    const IpFields fields = between(source, destination);
    send(ip_frame(fields, echo(fields)));
  }
  // A ping of the gateway behind `extensions`, the first of which is `first`.
  void ping_behind(std::uint8_t first, const Bytes& extensions) {
    IpFields fields = between(kGuest6, kGateway6);
    const Bytes message = echo(fields);
    fields.options = extensions;
    fields.first_header = first;
    send(ip_frame(fields, message));
  }
  void expect_answer() {
    const Parsed frame = only();
    ASSERT_FALSE(frame.payload.empty());
    EXPECT_EQ(frame.payload[0], wire::kIcmpv6EchoReply);
    EXPECT_EQ(frame.destination, kGuest6);
  }
  void expect_malformed() {
    expect_silence();
    EXPECT_EQ(stack->counters().malformed, ++malformed);
  }
  static UdpEnds ends6(std::uint16_t port = kGuestPort) { return {{kGuest6, port}, {kServer6, kServerPort}}; }

  std::uint64_t malformed = 0;
};

// ---- Headers ----

TEST_F(Ip6Test, IsNotSpokenUnlessConfigured) {
  config.has_ipv6 = false;
  restart();
  ping(kGuest6, kGateway6);
  expect_silence();
  EXPECT_EQ(stack->counters().unsupported, 1U);
}

TEST_F(Ip6Test, TheGatewayAnswersAtBothItsAddresses) {
  ping(kGuest6, kGateway6);
  Parsed frame = only();
  EXPECT_EQ(frame.source, kGateway6);
  EXPECT_EQ(frame.payload[0], wire::kIcmpv6EchoReply);
  ping(kLinkLocal, kGatewayLinkLocal);
  frame = only();
  EXPECT_EQ(frame.source, kGatewayLinkLocal);
  EXPECT_EQ(frame.destination, kLinkLocal);
}

TEST_F(Ip6Test, TakesNoPrefixOfAFrameHoweverItIsCut) {
  const IpFields fields = between(kGuest6, kGateway6);
  const Bytes frame = ip_frame(fields, echo(fields));
  for (piece_bytes = 1; piece_bytes <= frame.size(); piece_bytes += 5) {
    send(frame);
    expect_answer();
    malformed = stack->counters().malformed;
    for (std::size_t size = 14; size < frame.size(); ++size) {
      send(Bytes(frame.begin(), frame.begin() + static_cast<std::ptrdiff_t>(size)));
      expect_malformed();
    }
  }
}

TEST_F(Ip6Test, RefusesAnotherVersion) {
  const IpFields fields = between(kGuest6, kGateway6);
  Bytes frame = ip_frame(fields, echo(fields));
  frame[14] = 0x40;
  send(frame);
  expect_malformed();
}

TEST_F(Ip6Test, SkipsExtensionHeaders) {
  const std::uint8_t next = wire::kProtocolIcmpv6;
  ping_behind(0, {next, 0, 1, 4, 0, 0, 0, 0});
  expect_answer();
  ping_behind(60, {next, 0, 0xc3, 4, 0, 0, 0, 0});
  expect_answer();
  ping_behind(43, {next, 0, 0, 0, 0, 0, 0, 0});
  expect_answer();
  ping_behind(44, {next, 0, 0, 0, 0, 0, 0, 9});  // a fragment that is the whole
  expect_answer();
  ping_behind(60, {next, 1, 1, 12, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0});
  expect_answer();
  ping_behind(0, {60, 0, 1, 4, 0, 0, 0, 0, 43, 0, 1, 4, 0, 0, 0, 0, next, 0, 0, 0, 0, 0, 0, 0});
  expect_answer();
}

TEST_F(Ip6Test, FollowsNoChainOutOfThePacket) {
  const std::uint8_t next = wire::kProtocolIcmpv6;
  for (int units = 4; units < 256; units += 7) {
    ping_behind(60, {next, static_cast<std::uint8_t>(units), 1, 4, 0, 0, 0, 0});
    expect_malformed();
  }
  Bytes chain;
  for (int i = 0; i < 7; ++i) chain.insert(chain.end(), {60, 0, 1, 4, 0, 0, 0, 0});
  chain.insert(chain.end(), {next, 0, 1, 4, 0, 0, 0, 0});
  ping_behind(60, chain);
  expect_answer();
  chain.insert(chain.begin(), {60, 0, 1, 4, 0, 0, 0, 0});
  ping_behind(60, chain);
  expect_malformed();
}

TEST_F(Ip6Test, RefusesRoutesAndMisplacedOptions) {
  const std::uint8_t next = wire::kProtocolIcmpv6;
  ping_behind(43, {next, 0, 0, 1, 0, 0, 0, 0});
  expect_malformed();
  ping_behind(60, {0, 0, 1, 4, 0, 0, 0, 0, next, 0, 1, 4, 0, 0, 0, 0});
  expect_malformed();
}

TEST_F(Ip6Test, HearsTheGuestsAddressesOnly) {
  const auto expect_spoofed = [this](const wire::IpAddress& source, const wire::IpAddress& destination) {
    const auto before = stack->counters().spoofed;
    ping(source, destination);
    expect_silence();
    EXPECT_EQ(stack->counters().spoofed, before + 1);
  };
  expect_spoofed(kServer6, kGateway6);
  expect_spoofed(kGateway6, kGateway6);
  expect_spoofed(kGatewayLinkLocal, kGateway6);
  expect_spoofed(kNone6, kGateway6);
  expect_spoofed(address_of("::1"), kGateway6);
  expect_spoofed(kAllNodes, kGateway6);
  expect_spoofed(address_of("::ffff:192.168.64.2"), kGateway6);
  expect_spoofed(kLinkLocal, kServer6);
  ping(address_of("fd12:3456::9999:1"), kGateway6);  // one that it gave itself
  EXPECT_EQ(received().size(), 1U);
}

TEST_F(Ip6Test, KnowsWhereAPacketMayGo) {
  ping(kGuest6, address_of("fd12:3456::77"));
  Parsed error = only();
  EXPECT_EQ(error.payload[0], 1);
  EXPECT_EQ(error.payload[1], 3);
  EXPECT_EQ(error.source, kGateway6);
  ping(kGuest6, address_of("fe80::77"));
  EXPECT_EQ(only().payload[0], 1);
  for (const char* nowhere : {"::", "::1", "::ffff:198.51.100.7"}) {
    ping(kGuest6, address_of(nowhere));
    expect_malformed();
  }
  ping(kGuest6, address_of("ff05::1"));
  expect_silence();
  EXPECT_EQ(stack->counters().unsupported, 1U);
  EXPECT_TRUE(upcalls.opened.empty());
  for (const char* elsewhere : {"::198.51.100.7", "64:ff9b::7f00:1", "fec0::1", "2001:db8::7"}) {
    ping(kGuest6, address_of(elsewhere));
  }
  EXPECT_EQ(upcalls.opened.size(), 4U) << "for the policy to judge";
}

TEST_F(Ip6Test, IsAHopOnTheWay) {
  IpFields fields = between(kGuest6, kServer6);
  fields.hop_limit = 1;
  send(ip_frame(fields, echo(fields)));
  const Parsed error = only();
  EXPECT_EQ(error.payload[0], wire::kIcmpv6TimeExceeded);
  EXPECT_EQ(error.payload[1], 0);
  EXPECT_EQ(error.source, kGateway6);
}

// ---- Protocols ----

TEST_F(Ip6Test, CarriesUdp) {
  send_udp("over six", ends6());
  ASSERT_EQ(upcalls.opened.size(), 1U);
  EXPECT_EQ(upcalls.opened[0].destination, (Endpoint{kServer6, kServerPort}));
  Fd host;
  stack->on_splice(upcalls.opened[0].flow, make_pair(SOCK_SEQPACKET, host));
  EXPECT_EQ(heard_by(host), "over six");
  for (const bool csum : {false, true}) {
    wire.can.csum = csum;
    host_says(host, pattern(1452));
    expect_udp(only(), ends6(), pattern(1452));
  }
  host_says(host, pattern(4000));
  const auto fragments = received();
  ASSERT_EQ(fragments.size(), 3U);
  const Bytes whole = reassembled(fragments);
  const IpFields fields = between(kServer6, kGuest6, wire::kProtocolUdp);
  const Parsed datagram = parse(Frame{ip_frame(fields, whole), {}});
  ASSERT_EQ(datagram.problem, "");
  expect_udp(datagram, ends6(), pattern(4000));
}

TEST_F(Ip6Test, NeedsAUdpChecksum) {
  Bytes datagram = udp_datagram(ends6(), pattern(20));
  datagram[6] = datagram[7] = 0;
  send(ip_frame(between(kGuest6, kServer6, wire::kProtocolUdp), datagram));
  expect_malformed();
}

TEST_F(Ip6Test, RefusesByIcmp) {
  send_udp("no", ends6());
  stack->on_refuse(upcalls.opened[0].flow, Refusal::admin_prohibited);
  expect_error(only(), 1, 1, ends6());
}

TEST_F(Ip6Test, CarriesEchoes) {
  ping(kGuest6, kServer6);
  ASSERT_EQ(upcalls.opened.size(), 1U);
  EXPECT_EQ(upcalls.opened[0].protocol, Protocol::icmp_echo);
  Fd host;
  stack->on_splice(upcalls.opened[0].flow, make_pair(SOCK_DGRAM, host));
  const auto request = receive_from(host);
  ASSERT_TRUE(request);
  EXPECT_EQ((*request)[0], wire::kIcmpv6EchoRequest);
  wire::IcmpEchoHeader reply;
  reply.sequence = 1;
  host_says(host, joined({bytes_of(reply), pattern(20)}));
  const Parsed frame = only();
  EXPECT_EQ(frame.source, kServer6);
  const auto header = header_of<wire::IcmpEchoHeader>(frame.payload);
  EXPECT_EQ(header.type, wire::kIcmpv6EchoReply);
  EXPECT_EQ(header.identifier, 7);
}

TEST_F(Ip6Test, TakesAChecksumThatWasLeftOutBehindExtensions) {
  Fd host;
  splice_pair(host, ends6());
  IpFields fields = between(kGuest6, kServer6, wire::kProtocolUdp);
  Bytes datagram = udp_datagram(ends6(), bytes_of_text("partial"));
  datagram[6] ^= 1;
  fields.options = {wire::kProtocolUdp, 0, 1, 4, 0, 0, 0, 0};
  fields.first_header = 60;
  Offload offload{.flags = wire::kNetHeaderNeedsCsum, .csum_start = 14 + 40 + 8, .csum_offset = 6};
  send(ip_frame(fields, datagram), offload);
  EXPECT_EQ(heard_by(host), "partial");
  offload.csum_start = 14 + 40;
  send(ip_frame(fields, datagram), offload);
  EXPECT_EQ(heard_by(host), std::nullopt);
}

class Ip6FragmentsTest : public Ip6Test {
 protected:
  Bytes fragment(const Bytes& whole, std::size_t begin, std::size_t end, bool more, std::uint8_t next = 17,
                 std::uint32_t identification = 5) const {
    wire::Ipv6FragmentHeader header;
    header.next_header = next;
    header.offset_and_more = static_cast<std::uint16_t>(begin | (more ? 1U : 0U));
    header.identification = identification;
    IpFields fields = between(kGuest6, kServer6, wire::kProtocolUdp);
    fields.options = Bytes(bytes_of(header).begin(), bytes_of(header).end());
    fields.first_header = wire::kProtocolFragment;
    return ip_frame(fields, ByteView(whole).subspan(begin, end - begin));
  }

  Bytes datagram = udp_datagram(ends6(), pattern(3000));
};

TEST_F(Ip6FragmentsTest, AreJoined) {
  Fd host;
  splice_pair(host, ends6());
  send(fragment(datagram, 1400, 2800, true));
  send(fragment(datagram, 2800, 3008, false));
  send(fragment(datagram, 0, 1400, true));
  EXPECT_EQ(receive_from(host), pattern(3000));
  // Other extension headers may be part of what was cut.
  const Bytes longer = joined({Bytes{17, 0, 1, 4, 0, 0, 0, 0}, datagram});
  send(fragment(longer, 0, 1600, true, 60));
  send(fragment(longer, 1600, longer.size(), false, 60));
  EXPECT_EQ(receive_from(host), pattern(3000));
}

TEST_F(Ip6FragmentsTest, AreNotNested) {
  const Bytes inner = joined({Bytes{17, 0, 0, 1, 0, 0, 0, 9}, datagram});
  send(fragment(inner, 0, 1600, true, 44));
  send(fragment(inner, 1600, inner.size(), false, 44));
  expect_malformed();
}

TEST_F(Ip6FragmentsTest, ThatNeverBecomeWholeAreTold) {
  send(fragment(datagram, 0, 1400, true));
  run_for(30 * kSecond);
  const Parsed error = only();
  EXPECT_EQ(error.payload[0], wire::kIcmpv6TimeExceeded);
  EXPECT_EQ(error.payload[1], 1);
  const auto quoted = header_of<wire::Ipv6Header>(error.payload, 8);
  EXPECT_EQ(quoted.next_header, wire::kProtocolUdp);
}

// ---- Neighbours ----

class NdpTest : public Ip6Test {
 protected:
  void say(const wire::IpAddress& from, const wire::IpAddress& to, const Bytes& message, std::uint8_t hops = 255) {
    IpFields fields = between(from, to);
    fields.hop_limit = hops;
    Bytes whole = message;
    put_checksum(whole, 2, fields);
    send(ip_frame(fields, whole));
  }
  static Bytes solicitation(const wire::IpAddress& target, const Bytes& options = {}) {
    wire::NdpNeighbour message;
    message.type = wire::kNdpNeighbourSolicitation;
    message.target = target.bytes;
    return joined({bytes_of(message), options});
  }
  static Bytes source_address() { return {1, 1, 2, 0, 0, 0, 0, 2}; }
  static wire::IpAddress group_of(const wire::IpAddress& target) {
    auto group = address_of("ff02::1:ff00:0");
    std::copy(target.bytes.begin() + 13, target.bytes.end(), group.bytes.begin() + 13);
    return group;
  }
  void expect_advertised(const wire::IpAddress& target, const wire::IpAddress& to, bool solicited) {
    const Parsed frame = only();
    EXPECT_EQ(frame.source, target);
    EXPECT_EQ(frame.destination, to);
    EXPECT_EQ(frame.hop_limit, 255);
    const auto message = header_of<wire::NdpNeighbour>(frame.payload);
    EXPECT_EQ(message.type, wire::kNdpNeighbourAdvertisement);
    EXPECT_EQ(message.target, target.bytes);
    EXPECT_EQ(message.flags, solicited ? 0xe000'0000U : 0xa000'0000U);
    const auto option = header_of<wire::NdpLinkAddress>(frame.payload, sizeof message);
    EXPECT_EQ(option.type, 2);
    EXPECT_EQ(option.address, kGatewayMac);
  }

  Bytes router_solicitation{133, 0, 0, 0, 0, 0, 0, 0};
};

TEST_F(NdpTest, AnswersForTheGateway) {
  say(kGuest6, group_of(kGateway6), solicitation(kGateway6, source_address()));
  expect_advertised(kGateway6, kGuest6, true);
  say(kLinkLocal, group_of(kGatewayLinkLocal), solicitation(kGatewayLinkLocal, source_address()));
  expect_advertised(kGatewayLinkLocal, kLinkLocal, true);
  say(kGuest6, kGateway6, solicitation(kGateway6));  // whether it is still there
  expect_advertised(kGateway6, kGuest6, true);
}

TEST_F(NdpTest, TellsOneWhoWantsTheGatewaysAddress) {
  say(kNone6, group_of(kGateway6), solicitation(kGateway6));
  const auto frames = wire.frames;
  expect_advertised(kGateway6, kAllNodes, false);
  ASSERT_EQ(frames.size(), 1U);
  EXPECT_EQ(parse(frames[0]).ethernet.destination, (wire::MacAddress{0x33, 0x33, 0, 0, 0, 1}));
}

TEST_F(NdpTest, LeavesTheGuestsOwnAddressesAlone) {
  say(kNone6, group_of(kGuest6), solicitation(kGuest6));
  say(kNone6, group_of(kLinkLocal), solicitation(kLinkLocal));
  say(kGuest6, group_of(kServer6), solicitation(kServer6));
  expect_silence();
  EXPECT_EQ(stack->counters().malformed, 0U);
}

TEST_F(NdpTest, IgnoresWhatTheGuestTells) {
  Bytes advertisement = solicitation(kGateway6);
  advertisement[0] = wire::kNdpNeighbourAdvertisement;
  say(kGuest6, kAllNodes, advertisement);
  Bytes router = solicitation(kGateway6);
  router[0] = wire::kNdpRouterAdvertisement;
  say(kLinkLocal, kAllNodes, router);
  expect_silence();
}

TEST_F(NdpTest, NeedsEveryMessageToBeRight) {
  const Bytes right = solicitation(kGateway6, source_address());
  say(kGuest6, kGateway6, right, 254);  // from beyond the link
  expect_malformed();
  Bytes wrong = right;
  wrong[1] = 1;
  say(kGuest6, kGateway6, wrong);
  expect_malformed();
  wrong = right;
  wrong[25] = 0;  // an option of no length
  say(kGuest6, kGateway6, wrong);
  expect_malformed();
  wrong[25] = 2;  // longer than the message
  say(kGuest6, kGateway6, wrong);
  expect_malformed();
  say(kNone6, group_of(kGateway6), right);  // from nobody at an address
  expect_malformed();
  for (std::size_t size = 4; size < right.size(); ++size) {
    if (size == 24) continue;  // without its option
    say(kGuest6, kGateway6, Bytes(right.begin(), right.begin() + static_cast<std::ptrdiff_t>(size)));
    expect_malformed();
  }
  Bytes large = right;
  for (int i = 0; i < 40; ++i) large.insert(large.end(), {14, 1, 0, 0, 0, 0, 0, 0});
  say(kGuest6, kGateway6, large);
  expect_malformed();
  say(kNone6, kAllRouters, joined({router_solicitation, source_address()}));
  expect_malformed();
}

TEST_F(NdpTest, AdvertisesTheRouter) {
  say(kLinkLocal, kAllRouters, joined({router_solicitation, source_address()}));
  const Parsed frame = only();
  EXPECT_EQ(frame.source, kGatewayLinkLocal);
  EXPECT_EQ(frame.destination, kLinkLocal);
  EXPECT_EQ(frame.hop_limit, 255);
  const auto router = header_of<wire::NdpRouterAdvertisement>(frame.payload);
  EXPECT_EQ(router.type, wire::kNdpRouterAdvertisement);
  EXPECT_EQ(router.flags, wire::NdpRouterAdvertisement::kOther);
  EXPECT_EQ(router.router_lifetime, 9000U);
  std::size_t at = sizeof router;
  EXPECT_EQ(header_of<wire::NdpLinkAddress>(frame.payload, at).address, kGatewayMac);
  EXPECT_EQ(header_of<wire::NdpMtu>(frame.payload, at += 8).mtu, 1500U);
  const auto prefix = header_of<wire::NdpPrefix>(frame.payload, at += 8);
  EXPECT_EQ(prefix.type, 3);
  EXPECT_EQ(prefix.prefix_length, 64);
  EXPECT_EQ(prefix.flags, wire::NdpPrefix::kAutonomous);
  EXPECT_EQ(prefix.prefix, address_of("fd12:3456::").bytes);
  const auto resolver = header_of<wire::NdpResolver>(frame.payload, at += 32);
  EXPECT_EQ(resolver.type, 25);
  EXPECT_EQ(resolver.resolver, kGateway6.bytes);
  EXPECT_EQ(frame.payload.size(), at + 24);
}

TEST_F(NdpTest, LeavesAddressesOfOddPrefixesToDhcp) {
  config.prefix_length6 = 67;
  restart();
  say(kNone6, kAllRouters, router_solicitation);
  const Parsed frame = only();
  EXPECT_EQ(frame.destination, kAllNodes);
  const auto router = header_of<wire::NdpRouterAdvertisement>(frame.payload);
  EXPECT_EQ(router.flags, wire::NdpRouterAdvertisement::kManaged | wire::NdpRouterAdvertisement::kOther);
  EXPECT_EQ(header_of<wire::NdpPrefix>(frame.payload, 32).flags, 0);
}

TEST_F(NdpTest, AdvertisesAgainBeforeItExpires) {
  EXPECT_EQ(stack->next_deadline(), std::nullopt) << "nobody has asked";
  say(kLinkLocal, kAllRouters, router_solicitation);
  EXPECT_EQ(received().size(), 1U);
  run_for(3 * 9000 * kSecond);
  EXPECT_EQ(received().size(), 9U);
}

// ---- DHCPv6 ----

class Dhcp6Test : public Ip6Test {
 protected:
  using Kind = wire::Dhcp6Kind;

  static Bytes option(std::uint16_t number, const Bytes& value) {
    return joined({bytes_of(be16(number)), bytes_of(be16(static_cast<std::uint16_t>(value.size()))), value});
  }
  Bytes server() const {
    wire::Dhcp6Identifier identifier;
    identifier.address = kGatewayMac;
    return option(2, Bytes(bytes_of(identifier).begin(), bytes_of(identifier).end()));
  }
  static Bytes association() { return option(3, {0, 0, 0, 9, 0, 0, 0, 0, 0, 0, 0, 0}); }
  static Bytes message(Kind kind, const Bytes& options) {
    return joined({Bytes{static_cast<std::uint8_t>(kind), 1, 2, 3}, options});
  }
  void ask(const Bytes& bytes, const wire::IpAddress& to = kServers) {
    send_udp(bytes, {{kLinkLocal, 546}, {to, 547}});
  }
  void ask(Kind kind, const Bytes& options) { ask(message(kind, options)); }
  Bytes client() const { return option(1, {0, 1, 0, 1, 9, 9}); }

  void expect_reply(Kind kind, const Bytes& options) {
    const Parsed frame = only();
    EXPECT_EQ(frame.source, kGatewayLinkLocal);
    EXPECT_EQ(frame.destination, kLinkLocal);
    const auto udp = header_of<wire::UdpHeader>(frame.payload);
    EXPECT_EQ(udp.source_port, 547);
    EXPECT_EQ(udp.destination_port, 546);
    EXPECT_EQ(Bytes(frame.payload.begin() + 8, frame.payload.end()), message(kind, options));
  }
  Bytes given() const {
    return option(3, joined({Bytes{0, 0, 0, 9, 255, 255, 255, 255, 255, 255, 255, 255},
                             option(5, joined({kGuest6.bytes, Bytes(8, 255)}))}));
  }
  Bytes resolver() const { return option(23, Bytes(kGateway6.bytes.begin(), kGateway6.bytes.end())); }
};

TEST_F(Dhcp6Test, GivesTheGuestItsAddress) {
  ask(Kind::solicit, joined({client(), association()}));
  expect_reply(Kind::advertise, joined({client(), server(), given(), resolver()}));
  ask(Kind::request, joined({client(), server(), association()}));
  expect_reply(Kind::reply, joined({client(), server(), given(), resolver()}));
  ask(Kind::renew, joined({client(), server(), association()}));
  expect_reply(Kind::reply, joined({client(), server(), given(), resolver()}));
  ask(Kind::rebind, joined({client(), association()}));
  expect_reply(Kind::reply, joined({client(), server(), given(), resolver()}));
}

TEST_F(Dhcp6Test, CommitsAtOnceWhenAsked) {
  ask(Kind::solicit, joined({client(), association(), option(14, {})}));
  expect_reply(Kind::reply, joined({client(), server(), given(), resolver(), option(14, {})}));
}

TEST_F(Dhcp6Test, InformsAndConfirms) {
  ask(Kind::information_request, {});
  expect_reply(Kind::reply, joined({server(), resolver()}));
  ask(message(Kind::information_request, client()), kGatewayLinkLocal);
  expect_reply(Kind::reply, joined({client(), server(), resolver()}));
  ask(Kind::confirm, joined({client(), association()}));
  expect_reply(Kind::reply, joined({client(), server(), option(13, {0, 0}), resolver()}));
  ask(Kind::release, joined({client(), server(), association()}));
  expect_reply(Kind::reply, joined({client(), server(), option(13, {0, 0}), resolver()}));
}

TEST_F(Dhcp6Test, LeavesAnothersClientAlone) {
  ask(Kind::request, joined({client(), option(2, {0, 3, 0, 1, 2, 0, 0, 0, 0, 9}), association()}));
  ask(Kind::request, joined({client(), association()}));            // to no server
  ask(Kind::solicit, joined({client(), server(), association()}));  // to one, where none may be named
  expect_silence();
  EXPECT_EQ(stack->counters().malformed, 0U);
}

TEST_F(Dhcp6Test, RefusesWrongMessages) {
  ask(Kind::advertise, client());
  expect_malformed();
  ask(static_cast<Kind>(12), client());
  expect_malformed();
  ask(Kind::solicit, association());  // from nobody
  expect_malformed();
  ask(Kind::solicit, joined({client(), option(3, Bytes(11, 0))}));
  expect_malformed();
  ask(Kind::solicit, option(1, Bytes(131, 1)));
  expect_malformed();
  ask(Kind::solicit, option(1, {}));
  expect_malformed();
  const Bytes whole = message(Kind::solicit, joined({client(), option(6, {0, 23})}));
  for (std::size_t size = 0; size < whole.size(); ++size) {
    if (size == 4 + client().size()) continue;  // a whole message by itself
    ask(Bytes(whole.begin(), whole.begin() + static_cast<std::ptrdiff_t>(size)));
    expect_malformed();
  }
  ask(Bytes(1453, 1));
  expect_malformed();
}

TEST_F(Dhcp6Test, FitsWithTheLongestIdentifier) {
  const Bytes longest = option(1, Bytes(130, 1));
  ask(Kind::solicit, joined({longest, association(), option(14, {})}));
  expect_reply(Kind::reply, joined({longest, server(), given(), resolver(), option(14, {})}));
}

}  // namespace
}  // namespace microagent::netstack
