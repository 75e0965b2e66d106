#include "netstack/fragments.h"

#include <random>

#include "netstack/testing/datagram_fixture.h"

namespace microagent::netstack {
namespace {

using namespace testing;

class FragmentsTest : public DatagramFixture {
 protected:
  struct Cut {
    std::size_t begin = 0, end = 0;
    bool more = true;
  };
  static IpFields fields(std::uint16_t identification = 1) {
    return {.source = kGuest, .destination = kServer, .identification = identification};
  }
  static Bytes fragment(const Bytes& whole, const Cut& cut, const IpFields& of = fields()) {
    IpFields cut_fields = of;
    cut_fields.flags_and_offset =
        static_cast<std::uint16_t>(cut.begin / 8 | (cut.more ? wire::kIpv4MoreFragments : 0U));
    return ip_frame(cut_fields, ByteView(whole).subspan(cut.begin, cut.end - cut.begin));
  }
  void send_part(const Bytes& whole, const Cut& cut, const IpFields& of = fields()) { send(fragment(whole, cut, of)); }
  // In pieces of `step` bytes, in order.
  static std::vector<Bytes> cut_up(const Bytes& whole, std::size_t step, const IpFields& of = fields()) {
    std::vector<Bytes> frames;
    for (std::size_t at = 0; at < whole.size(); at += step) {
      const std::size_t end = std::min(at + step, whole.size());
      frames.push_back(fragment(whole, {at, end, end < whole.size()}, of));
    }
    return frames;
  }
  // A spliced flow, so that whole datagrams are seen.
  void connect() { splice_pair(host); }

  Bytes datagram = udp_datagram(ends(), pattern(4000));
  Fd host;
};

TEST_F(FragmentsTest, AreJoinedInAnyOrder) {
  connect();
  std::mt19937 random(7);
  for (const std::size_t step : {8, 64, 1000, 1480, 4000}) {
    auto frames = cut_up(datagram, step);
    if (frames.size() > 60) frames = cut_up(datagram, 80);
    for (int round = 0; round < 20; ++round) {
      std::shuffle(frames.begin(), frames.end(), random);
      for (const Bytes& frame : frames) send(frame);
      EXPECT_EQ(receive_from(host), pattern(4000)) << step;
      EXPECT_EQ(receive_from(host), std::nullopt);
    }
  }
  EXPECT_EQ(stack->counters().malformed, 0U);
}

TEST_F(FragmentsTest, MakeTheLargestDatagram) {
  connect();
  const Bytes largest = udp_datagram(ends(), pattern(65'507));
  for (const Bytes& frame : cut_up(largest, 1480)) send(frame);
  EXPECT_EQ(receive_from(host), pattern(65'507));
}

TEST_F(FragmentsTest, OfThePingOfDeathMakeNothing) {
  connect();
  Bytes part = pattern(1480);
  IpFields last = fields();
  last.flags_and_offset = 8189;  // ends behind the largest packet
  send(ip_frame(last, part));
  EXPECT_EQ(stack->counters().malformed, 1U);
  last.flags_and_offset = 0x1fff;
  send(ip_frame(last, pattern(8)));
  EXPECT_EQ(stack->counters().malformed, 2U);
}

TEST_F(FragmentsTest, AreIgnoredWhenRepeated) {
  connect();
  const auto frames = cut_up(datagram, 1000);
  for (const Bytes& frame : frames) {
    send(frame);
    if (&frame != &frames.back()) send(frame);
  }
  EXPECT_EQ(receive_from(host), pattern(4000));
}

TEST_F(FragmentsTest, ThatOverlapEndTheirDatagram) {
  connect();
  const auto expect_nothing = [this](std::initializer_list<Cut> cuts) {
    static std::uint16_t identification = 100;
    const IpFields of = fields(++identification);
    const auto before = stack->counters().malformed;
    for (const Cut& cut : cuts) send_part(datagram, cut, of);
    EXPECT_EQ(stack->counters().malformed, before + 1);
    // What comes later does not make it whole.
    for (const Bytes& frame : cut_up(datagram, 1000, of)) send(frame);
    EXPECT_EQ(receive_from(host), std::nullopt);
  };
  expect_nothing({{0, 1000}, {992, 2000}});  // by one unit
  expect_nothing({{1000, 2000}, {0, 1008}});
  expect_nothing({{0, 1000}, {2000, 3000}, {800, 2400}});      // over a hole
  expect_nothing({{1000, 2000}, {0, 3000}});                   // all of another
  expect_nothing({{3000, 4008, false}, {2992, 3008}});         // before the end
  expect_nothing({{3000, 4008, false}, {2000, 3000, false}});  // two ends
  expect_nothing({{3000, 4000}, {2000, 3000, false}});         // an end before the end
}

TEST_F(FragmentsTest, OfATeardropEndTheirDatagram) {
  connect();
  // The second lies within the first and differs.
  Bytes other = datagram;
  other[24] ^= 1;
  send_part(datagram, {0, 1000});
  send_part(other, {24, 32, false});
  for (const Bytes& frame : cut_up(datagram, 1000)) send(frame);
  EXPECT_EQ(receive_from(host), std::nullopt);
  EXPECT_EQ(stack->counters().malformed, 1U);
}

TEST_F(FragmentsTest, HaveWholeUnits) {
  send_part(datagram, {0, 1001});
  send_part(datagram, {0, 0});
  send_part(datagram, {8, 8, false});
  EXPECT_EQ(stack->counters().malformed, 3U);
}

TEST_F(FragmentsTest, OfDifferentDatagramsAreToldApart) {
  connect();
  const Bytes second = udp_datagram(ends(), pattern(4000, 9));
  const auto a = cut_up(datagram, 1000), b = cut_up(second, 1000, fields(2));
  for (std::size_t i = 0; i < a.size(); ++i) {
    send(a[i]);
    send(b[i]);
  }
  EXPECT_EQ(receive_from(host), pattern(4000));
  EXPECT_EQ(receive_from(host), pattern(4000, 9));
}

TEST_F(FragmentsTest, HaveNoOffloads) {
  send(fragment(datagram, {0, 1000}), Offload{.flags = 1, .csum_start = 34, .csum_offset = 6});
  EXPECT_EQ(stack->counters().malformed, 1U);
}

TEST_F(FragmentsTest, OfAPingToTheGatewayAreAnsweredInFragments) {
  const IpFields to_gateway{.source = kGuest, .destination = kGateway, .protocol = wire::kProtocolIcmp};
  for (const std::size_t size : {1473, 20'000, 65'507}) {
    const Bytes echo = echo_message(to_gateway, wire::kIcmpEchoRequest, 1, 1, pattern(size));
    for (const Bytes& frame : cut_up(echo, 1480, to_gateway)) send(frame);
    const Bytes whole = reassembled(received());
    ASSERT_EQ(whole.size(), 8 + size);
    EXPECT_EQ(whole[0], wire::kIcmpEchoReply);
    EXPECT_TRUE(std::ranges::equal(ByteView(whole).subspan(8), pattern(size)));
    EXPECT_EQ(parse(Frame{ip_frame(to_gateway, whole), {}}).problem, "");
  }
}

TEST_F(FragmentsTest, ThatNeverBecomeWholeAreTold) {
  send_part(datagram, {0, 1000});
  send_part(datagram, {2000, 3000}, fields(2));  // without its first part nobody can be told
  run_for(29 * kSecond);
  expect_silence();
  run_for(kSecond);
  const Parsed error = only();
  expect_error(error, 11, 1);
  EXPECT_EQ(stack->next_deadline(), std::nullopt);
}

// One table by itself, whose bounds can be looked at.
class FragmentBoundsTest : public ::testing::Test, protected TestEnvironment {
 protected:
  std::optional<Packet> add(std::uint32_t identification, std::size_t offset, std::size_t size, bool more = true) {
    bytes = pattern(size);
    piece = iovec{bytes.data(), bytes.size()};
    return fragments.add(Packet{.source = kGuest,
                                .destination = kServer,
                                .protocol = wire::kProtocolUdp,
                                .hop_limit = 64,
                                .payload = {&piece, 1},
                                .bytes = size,
                                .network_header = ByteView(header)},
                         {identification, offset, more});
  }

  Fragments fragments{environment};
  std::array<std::uint8_t, 20> header{0x45};
  Bytes bytes;
  iovec piece{};
};

TEST_F(FragmentBoundsTest, HoldForTheNumberOfDatagrams) {
  for (std::uint32_t i = 0; i < Fragments::kMaxPending; ++i) add(i, 0, 8);
  EXPECT_EQ(fragments.pending(), Fragments::kMaxPending);
  add(1000, 0, 8);
  EXPECT_EQ(fragments.pending(), Fragments::kMaxPending);
  EXPECT_FALSE(add(0, 8, 8, false)) << "the oldest gave way";
  EXPECT_TRUE(add(1000, 8, 8, false));
}

TEST_F(FragmentBoundsTest, HoldForTheirMemory) {
  // Far offsets are what costs.
  for (std::uint32_t i = 0; i < 1000; ++i) {
    add(i, 65'504, 8);
    EXPECT_LE(fragments.bytes(), Fragments::kMaxBytes);
  }
  EXPECT_GT(fragments.bytes(), Fragments::kMaxBytes / 2);
  add(999, 0, 65'504);
  EXPECT_TRUE(add(999, 65'512, 3, false));
  environment.now_ns += Fragments::kTimeoutNs;
  fragments.on_time();
  EXPECT_EQ(fragments.pending(), 0U);
  EXPECT_EQ(fragments.bytes(), 0U);
}

TEST_F(FragmentBoundsTest, HoldForThePartsOfOne) {
  for (std::size_t i = 0; i < Fragments::kMaxParts; ++i) add(1, 16 * i, 8);
  EXPECT_EQ(counters.malformed, 0U);
  add(1, 16 * Fragments::kMaxParts, 8);
  EXPECT_EQ(counters.malformed, 1U);
  EXPECT_EQ(fragments.bytes(), 0U);
}

TEST_F(FragmentBoundsTest, MakeTheWholesHeader) {
  add(1, 0, 8);
  const auto whole = add(1, 8, 9, false);
  ASSERT_TRUE(whole);
  const auto ipv4 = header_of<wire::Ipv4Header>(whole->network_header);
  EXPECT_EQ(ipv4.total_length, 37U);
  EXPECT_EQ(ipv4.flags_and_offset, 0U);
  wire::Checksum sum;
  sum.add(whole->network_header);
  EXPECT_EQ(sum.value(), 0U);
  EXPECT_TRUE(whole->short_lived);
  EXPECT_FALSE(whole->dont_fragment);
  EXPECT_EQ(fragments.pending(), 0U);
}

}  // namespace
}  // namespace microagent::netstack
