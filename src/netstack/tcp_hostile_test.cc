// What a guest, or something in it that guesses, may try (RFC 5961; RFC 9293, 3.10; reliability: malformed headers,
// blind segments, work for nothing).

#include "netstack/testing/tcp_fixture.h"

namespace microagent::netstack {
namespace {

using namespace testing;

class TcpHostileTest : public TcpFixture {
 protected:
  // A segment as raw bytes.
  Bytes raw(std::uint8_t flags, ByteView options = {}, ByteView data = {}) const {
    wire::TcpHeader header;
    header.source_port = guest.port;
    header.destination_port = server.port;
    header.sequence = guest_isn;
    header.flags = flags;
    header.window = 1000;
    header.data_offset = static_cast<std::uint8_t>((sizeof header + options.size()) / 4 << 4);
    return joined({bytes_of(header), options, data});
  }
  void send_raw(Bytes transport, bool good_checksum = true) {
    const IpFields fields{.source = guest.address, .destination = server.address, .protocol = wire::kProtocolTcp};
    if (transport.size() >= 20 && good_checksum) put_checksum(transport, wire::kTcpChecksumOffset, fields);
    Bytes bytes = ip_packet(fields, transport);
    iovec piece{bytes.data() + sizeof(wire::Ipv4Header), transport.size()};
    Packet packet{.source = fields.source,
                  .destination = fields.destination,
                  .protocol = fields.protocol,
                  .hop_limit = 64,
                  .payload = {&piece, transport.empty() ? 0U : 1U},
                  .bytes = transport.size(),
                  .network_header = ByteView(bytes).first(sizeof(wire::Ipv4Header))};
    flows->on_packet(packet);
    flows->flush();
  }
};

// ---- Malformed ----

TEST_F(TcpHostileTest, EveryTruncationOfAHeaderIsMalformed) {
  const Bytes whole = raw(kSyn);
  for (std::size_t size = 0; size < whole.size(); ++size) {
    const std::uint64_t before = counters.malformed;
    send_raw(Bytes(whole.begin(), whole.begin() + static_cast<std::ptrdiff_t>(size)), false);
    EXPECT_EQ(counters.malformed, before + 1) << size;
  }
  EXPECT_TRUE(upcalls.opened.empty());
  EXPECT_TRUE(wire.frames.empty());
}

TEST_F(TcpHostileTest, AWrongChecksumIsMalformed) {
  Bytes segment = raw(kSyn);
  segment[wire::kTcpChecksumOffset] = 0x12;
  send_raw(segment, false);
  EXPECT_EQ(counters.malformed, 1U);
  EXPECT_TRUE(upcalls.opened.empty());
}

TEST_F(TcpHostileTest, AHeaderLengthBelowFiveWordsIsMalformed) {
  for (std::uint8_t words = 0; words < 5; ++words) {
    Bytes segment = raw(kSyn);
    segment[12] = static_cast<std::uint8_t>(words << 4);
    send_raw(segment);
  }
  EXPECT_EQ(counters.malformed, 5U);
}

TEST_F(TcpHostileTest, AHeaderLengthBeyondThePacketIsMalformed) {
  Bytes segment = raw(kSyn);
  segment[12] = 0xf0;
  send_raw(segment);
  EXPECT_EQ(counters.malformed, 1U);
}

TEST_F(TcpHostileTest, OptionsOfImpossibleLengthAreMalformed) {
  const std::vector<Bytes> options = {
      {2, 0, 0, 0},   // no length
      {2, 1, 0, 0},   // shorter than itself
      {1, 1, 1, 2},   // cut after its kind
      {8, 40, 0, 0},  // leaves the header
      {2, 3, 0, 0},   // an MSS of one byte
      {3, 4, 0, 0},   // a scale of two
      {8, 9, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0},
      {5, 9, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0},
      {5, 2, 0, 0},
  };
  for (const Bytes& each : options) send_raw(raw(kSyn, each));
  EXPECT_EQ(counters.malformed, options.size());
  EXPECT_TRUE(upcalls.opened.empty());
}

TEST_F(TcpHostileTest, UnknownOptionsArePassedOver) {
  send_raw(raw(kSyn, Bytes{254, 4, 1, 2, 34, 2, 1, 0}));
  EXPECT_EQ(upcalls.opened.size(), 1U);
}

TEST_F(TcpHostileTest, PortZeroIsMalformed) {
  use({kGuest, 0}, server);
  send_syn();
  use({kGuest, 1}, {kServer, 0});
  send_syn();
  EXPECT_EQ(counters.malformed, 2U);
  EXPECT_TRUE(upcalls.opened.empty());
}

TEST_F(TcpHostileTest, OddCombinationsOfFlagsOpenNothing) {
  for (const int flags : {kSyn | kFin, kSyn | kRst, kSyn | kRst | kFin, kFin | 0, 0, kSyn | kAck | kFin}) {
    send({.flags = static_cast<std::uint8_t>(flags)});
  }
  EXPECT_TRUE(upcalls.opened.empty());
  for (const Segment& segment : seen()) EXPECT_TRUE(segment.has(kRst));
}

// ---- To nobody (RFC 9293, 3.10.7.1) ----

TEST_F(TcpHostileTest, ASegmentOfNobodyIsReset) {
  send({.seq = 5, .ack = 77, .data = Bytes(10)});
  Segment reset = only();
  EXPECT_EQ(reset.flags, kRst);
  EXPECT_EQ(reset.seq, 77U);
  send({.flags = kFin, .seq = 5, .data = Bytes(10)});
  reset = only();
  EXPECT_EQ(reset.flags, kRst | kAck);
  EXPECT_EQ(reset.seq, 0U);
  EXPECT_EQ(reset.ack, 16U);
}

TEST_F(TcpHostileTest, AResetOfNobodyIsNotAnswered) {
  send({.flags = kRst, .seq = 5});
  send({.flags = kRst | kAck, .seq = 5, .ack = 1});
  expect_silence();
}

// ---- Blind resets, SYNs and data (RFC 5961) ----

TEST_F(TcpHostileTest, OnlyAnExactResetEndsAConnection) {
  establish();
  guest_says("abc");
  seen();
  for (const std::uint32_t seq : {5U, 100U, 10'000U, 60'000U}) {
    advance(20 * kMs);
    send({.flags = kRst, .seq = seq});
    expect_ack(4);  // a challenge
  }
  for (const std::uint32_t seq : {0U, 1U, 3U, 10'000'000U, 0x8000'0000U, 0xffff'0000U}) {
    advance(20 * kMs);
    send({.flags = kRst, .seq = seq});
    expect_silence();
  }
  EXPECT_TRUE(upcalls.ends.empty());
  send({.flags = kRst, .seq = 4});
  EXPECT_EQ(only_end(), End::guest_reset);
}

TEST_F(TcpHostileTest, AMillionGuessesInTheNeighbourhoodResetNothing) {
  establish();
  guest_says("abc");
  Random random(11);
  for (int i = 0; i < 100'000; ++i) {
    const std::uint32_t seq = 4 + random() % 200'000 - 100'000;
    if (seq == 4) continue;
    send({.flags = static_cast<std::uint8_t>(i % 2 == 0 ? kRst : kRst | kAck), .seq = seq, .ack = 1});
    if (i % 1000 == 0) seen();
  }
  EXPECT_TRUE(upcalls.ends.empty());
}

TEST_F(TcpHostileTest, AChallengedGuestMayAnswerExactly) {
  establish();
  send({.flags = kRst, .seq = 1000});
  const Segment challenge = expect_ack(1);
  send({.flags = kRst, .seq = challenge.ack});
  EXPECT_EQ(only_end(), End::guest_reset);
}

TEST_F(TcpHostileTest, ASynInAConnectionIsChallenged) {
  establish();
  for (const std::uint32_t seq : {1U, 1000U}) {
    advance(20 * kMs);
    send({.flags = kSyn, .seq = seq, .options = guest_options()});
    expect_ack(1);
  }
  send({.flags = kSyn, .seq = 100'000'000, .options = guest_options()});
  expect_ack(1);
  EXPECT_EQ(upcalls.opened.size(), 1U);
  EXPECT_TRUE(upcalls.ends.empty());
}

TEST_F(TcpHostileTest, ChallengesAreRationed) {
  establish();
  for (int i = 0; i < 1000; ++i) send({.flags = kRst, .seq = 100});
  EXPECT_EQ(seen().size(), 1U);
  for (int i = 0; i < 100; ++i) {
    advance(kMs);
    send({.flags = kSyn, .seq = 100});
  }
  EXPECT_LE(seen().size(), 11U);
}

// Two ends that each find the other's acknowledgement wrong must not talk about it for ever.
TEST_F(TcpHostileTest, AnAckThatAnswersAnAckIsRationed) {
  establish();
  for (int i = 0; i < 1000; ++i) {
    const std::size_t answers = seen().size();
    if (i > 10) EXPECT_EQ(answers, 0U);
    send({.seq = 5'000'000, .ack = 1});
  }
}

TEST_F(TcpHostileTest, DataWithAnImpossibleAckIsNotTaken) {
  establish();
  host_says("abc");
  seen();
  for (const std::uint32_t ack : {5U, 100'000U, 0x7000'0000U, 0x9000'0000U}) {
    send({.seq = 1, .ack = ack, .data = bytes_of_text("forged")});
  }
  EXPECT_TRUE(host_drains().empty());
  EXPECT_TRUE(upcalls.ends.empty());
}

TEST_F(TcpHostileTest, DataWithAnAckFromLongAgoIsNotTaken) {
  establish();
  for (int i = 0; i < 20; ++i) {
    host_says(pattern(100'000));
    guest_hears();
  }
  guest_acks(guest_heard);
  send({.seq = 1, .ack = guest_heard - 1'500'000, .data = bytes_of_text("forged")});  // max. window: 1 MiB
  EXPECT_TRUE(host_drains().empty());
  send({.seq = 1, .ack = guest_heard - 900'000, .data = bytes_of_text("old")});
  EXPECT_EQ(host_hears_text(3), "old");
}

TEST_F(TcpHostileTest, DataWithoutAnAckIsNotTaken) {
  establish();
  send({.flags = 0, .seq = 1, .data = bytes_of_text("no ACK")});
  EXPECT_TRUE(host_drains().empty());
}

TEST_F(TcpHostileTest, AnAckOfWhatWasNeverSentChangesNothing) {
  establish();
  host_says("abc");
  seen();
  guest_acks(1000);
  EXPECT_EQ(last().flags, kAck);
  guest_acks(4);
  host_says("def");
  EXPECT_EQ(text_of(only().data), "def");
}

// ---- Work and memory for nothing ----

TEST_F(TcpHostileTest, ASynFloodStopsAtTheLimit) {
  config.max_flows = 100;
  restart();
  for (int i = 0; i < 1000; ++i, next_port()) send_syn();
  EXPECT_EQ(upcalls.opened.size(), 100U);
  EXPECT_EQ(counters.flows, 100U);
  EXPECT_EQ(wire.take().size(), 900U);
}

TEST_F(TcpHostileTest, AFloodWithoutReceiveBuffersLeavesNothingBehind) {
  config.max_flows = 50;
  restart();
  wire.frames_of_room = 0;
  upcalls.on_open = [this](const FakeUpcalls::Opened& opened) { flows->on_splice(opened.flow, make_unix_pair().ours); };
  for (int round = 0; round < 40; ++round) {
    for (int i = 0; i < 50; ++i, next_port()) send_syn();
    run_for(11 * kSec);
    EXPECT_EQ(counters.flows, 0U);
  }
  EXPECT_EQ(upcalls.opened.size(), 2000U);
  EXPECT_EQ(upcalls.ends.size(), 2000U);
  give_room(std::nullopt);
  EXPECT_LE(wire.take().size(), 50U);  // the resets that were owed
}

TEST_F(TcpHostileTest, TinySegmentsOutOfOrderAreBounded) {
  establish();
  Random random(2);
  for (int i = 0; i < 20'000; ++i) {
    send({.seq = 2 + random() % 60'000, .ack = 1, .data = Bytes(1)}, i % 64 == 0);
  }
  const auto segments = seen();
  EXPECT_LE(segments.back().options.sack_count, 4);
  send({.flags = kRst, .seq = 1});
  EXPECT_EQ(only_end(), End::guest_reset);
}

TEST_F(TcpHostileTest, ManyReportsAreBounded) {
  establish();
  host_says(pattern(500 * kMss));
  const std::size_t sent = seen().size();
  EXPECT_GT(sent, 100U);
  Random random(4);
  for (int i = 0; i < 5000; ++i) {
    Segment ack{.seq = 1, .ack = 1};
    for (int block = 0; block < 4; ++block) {
      const std::uint32_t left = our_isn + 1 + random() % 200'000;
      ack.options.sack[ack.options.sack_count++] = {left, left + 1 + random() % 8};
    }
    send(ack);
  }
  seen();
  guest_acks(1 + static_cast<std::uint32_t>(100 * kMss));
  EXPECT_TRUE(upcalls.ends.empty());
}

TEST_F(TcpHostileTest, AWindowThatDancesIsFollowed) {
  establish();
  host_says(pattern(100'000));
  std::uint32_t heard = 1;
  Random random(6);
  for (int i = 0; i < 2000 && heard < 100'001; ++i) {
    for (const Segment& segment : seen()) {
      if (segment.seq == heard) heard = segment.end();
    }
    guest_acks(heard, static_cast<std::uint16_t>(random() % 40));
    advance(random() % 3 * kSec);
  }
  EXPECT_EQ(heard, 100'001U);
}

// ---- Malformed or not, answers never exceed questions ----

TEST_F(TcpHostileTest, RandomSegmentsDoNoHarm) {
  establish();
  Random random(9);
  for (int i = 0; i < 50'000; ++i) {
    Segment segment{.flags = static_cast<std::uint8_t>(random() % 64),
                    .seq = guest_next + random() % 2000 - 1000,
                    .ack = guest_heard + random() % 2000 - 1000,
                    .window = static_cast<std::uint16_t>(random()),
                    .data = Bytes(random() % 4 == 0 ? random() % 1000 : 0, static_cast<std::uint8_t>(i))};
    if (segment.has(kRst)) segment.flags &= static_cast<std::uint8_t>(~kRst);
    send(segment);
    if (random() % 50 == 0) host_writes(Bytes(random() % 3000));
    if (random() % 50 == 0) host_drains();
    if (random() % 10 == 0) events();
    if (random() % 20 == 0) advance(random() % 500 * kMs);
    if (i % 100 == 0) wire.take();
  }
  wire.take();
  EXPECT_LE(upcalls.ends.size(), 1U);
}

}  // namespace
}  // namespace microagent::netstack
