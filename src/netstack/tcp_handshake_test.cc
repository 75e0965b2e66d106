// How the guest's connections begin.

#include "netstack/testing/tcp_fixture.h"
#include "wire/icmp.h"

namespace microagent::netstack {
namespace {

using namespace testing;

using TcpHandshakeTest = TcpFixture;

TEST_F(TcpHandshakeTest, TheSynAsksForTheFlowAndIsNotAnswered) {
  const FlowId flow = open();
  EXPECT_EQ(upcalls.opened.front().protocol, Protocol::tcp);
  EXPECT_EQ(upcalls.opened.front().guest, guest);
  EXPECT_EQ(upcalls.opened.front().destination, server);
  EXPECT_EQ(kind_of(flow), Kind::tcp);
  EXPECT_EQ(counters.flows, 1U);
  expect_silence();
}

TEST_F(TcpHandshakeTest, TheSpliceIsAnsweredBySynAck) {
  const FlowId flow = open();
  splice(flow, make_tcp_pair());
  const Segment answer = only();
  EXPECT_EQ(answer.flags, kSyn | kAck);
  EXPECT_EQ(answer.ack, 1U);
  EXPECT_EQ(answer.options.mss, kMss);
  EXPECT_EQ(answer.options.window_scale, 7);
  EXPECT_TRUE(answer.options.sack_permitted);
  EXPECT_FALSE(answer.options.timestamps);
  EXPECT_EQ(answer.window, 65'535);  // never scaled
}

TEST_F(TcpHandshakeTest, AVerdictMayComeWhileTheQuestionIsAsked) {
  upcalls.on_open = [this](const FakeUpcalls::Opened& opened) {
    SocketPair pair = make_tcp_pair();
    descriptor = pair.ours.get();
    host = std::move(pair.host);
    flows->on_splice(opened.flow, std::move(pair.ours));
  };
  send_syn();
  EXPECT_EQ(only().flags, kSyn | kAck);
}

TEST_F(TcpHandshakeTest, ARefusalMayComeWhileTheQuestionIsAsked) {
  upcalls.on_open = [this](const FakeUpcalls::Opened& opened) { flows->on_refuse(opened.flow, Refusal::reset); };
  send_syn();
  EXPECT_EQ(only().flags, kRst | kAck);
  EXPECT_EQ(counters.flows, 0U);
}

TEST_F(TcpHandshakeTest, OptionsThatWereNotOfferedAreNotAnswered) {
  const FlowId flow = open({});
  splice(flow, make_tcp_pair());
  const Segment answer = only();
  EXPECT_EQ(answer.options.mss, kMss);
  EXPECT_FALSE(answer.options.window_scale);
  EXPECT_FALSE(answer.options.sack_permitted);
  EXPECT_FALSE(answer.options.timestamps);
}

TEST_F(TcpHandshakeTest, TimestampsAreEchoed) {
  wire::TcpOptions options = guest_options();
  options.timestamps = wire::TcpTimestamps{4711, 0};
  const FlowId flow = open(options);
  splice(flow, make_tcp_pair());
  const Segment answer = only();
  ASSERT_TRUE(answer.options.timestamps);
  EXPECT_EQ(answer.options.timestamps->echo, 4711U);
}

TEST_F(TcpHandshakeTest, WithoutScalingTheWindowFieldIsTheWindow) {
  wire::TcpOptions options = guest_options();
  options.window_scale.reset();
  establish(options);
  guest_says("x");
  const Segment ack = expect_ack(2);
  EXPECT_GT(ack.window, 32'768);
}

TEST_F(TcpHandshakeTest, WithScalingTheWindowFieldIsScaled) {
  establish();
  guest_says("x");
  const Segment ack = expect_ack(2);
  EXPECT_GE(ack.window << 7, 64 * 1024);
  EXPECT_LE(ack.window << 7, 4 * 1024 * 1024);
}

TEST_F(TcpHandshakeTest, TheGuestsScaleIsUsed) {
  wire::TcpOptions options = guest_options();
  options.window_scale = 2;
  establish(options);
  guest_acks(1, 250);  // 1000 bytes
  host_says(pattern(3000));
  EXPECT_EQ(only().data.size(), 1000U);
}

TEST_F(TcpHandshakeTest, TheWindowOfASynIsNotScaled) {
  const FlowId flow = open();  // says 65,535
  splice(flow, make_tcp_pair());
  host_says(pattern(200'000));
  EXPECT_EQ(only().flags, kSyn | kAck);
  send({.seq = 1, .ack = 1, .window = 512});
  std::size_t bytes = 0;
  for (const Segment& segment : seen()) bytes += segment.data.size();
  // Whole segments only while some are under way.
  EXPECT_EQ(bytes, 65'536U / kMss * kMss);
}

TEST_F(TcpHandshakeTest, AScaleBeyond14CountsAs14) {
  wire::TcpOptions options = guest_options();
  options.window_scale = 200;
  establish(options);
  guest_acks(1, 1);  // 16 KiB
  host_says(pattern(40'000));
  std::size_t bytes = 0;
  for (const Segment& segment : seen()) bytes += segment.data.size();
  EXPECT_EQ(bytes, 16'384U / kMss * kMss);
}

TEST_F(TcpHandshakeTest, SegmentsFollowTheGuestsMss) {
  wire::TcpOptions options = guest_options();
  options.mss = 1000;
  establish(options);
  host_says(pattern(2500));
  const auto segments = seen();
  ASSERT_EQ(segments.size(), 3U);
  EXPECT_EQ(segments[0].data.size(), 1000U);
  EXPECT_EQ(segments[2].data.size(), 500U);
}

TEST_F(TcpHandshakeTest, WithoutAnMssSegmentsAreOf536Bytes) {
  wire::TcpOptions options = guest_options();
  options.mss.reset();
  establish(options);
  host_says(pattern(1000));
  EXPECT_EQ(seen().front().data.size(), 536U);
}

// CVE-2019-11477: tiny segments ask for work.
TEST_F(TcpHandshakeTest, ATinyMssIsNotFollowed) {
  wire::TcpOptions options = guest_options();
  options.mss = 0;
  establish(options);
  host_says(pattern(128));
  EXPECT_EQ(seen().front().data.size(), 64U);
}

TEST_F(TcpHandshakeTest, AnMssBeyondOursIsNotFollowed) {
  wire::TcpOptions options = guest_options();
  options.mss = 9000;
  establish(options);
  host_says(pattern(4000));
  EXPECT_EQ(seen().front().data.size(), kMss);
}

TEST_F(TcpHandshakeTest, TimestampsTakeTheirPlaceFromTheSegment) {
  wire::TcpOptions options = guest_options();
  options.timestamps = wire::TcpTimestamps{now_ms(), 0};
  establish(options);
  host_says(pattern(4000));
  EXPECT_EQ(seen().front().data.size(), kMss - 12);
}

TEST_F(TcpHandshakeTest, TheSynAgainAsksOnce) {
  open();
  send_syn();
  send_syn();
  EXPECT_EQ(upcalls.opened.size(), 1U);
  expect_silence();
}

TEST_F(TcpHandshakeTest, TheSynAgainIsAnsweredAgain) {
  splice(open(), make_tcp_pair());
  const Segment first = only();
  send_syn();
  const Segment again = only();
  EXPECT_EQ(again.flags, first.flags);
  EXPECT_EQ(again.seq, first.seq);
  EXPECT_EQ(upcalls.opened.size(), 1U);
}

TEST_F(TcpHandshakeTest, TheSynAckIsSentAgainAndThenGivenUp) {
  const FlowId flow = open();
  splice(flow, make_tcp_pair());
  EXPECT_EQ(seen().size(), 1U);
  advance(kSec);
  EXPECT_EQ(only().flags, kSyn | kAck);
  advance(2 * kSec);
  EXPECT_EQ(only().flags, kSyn | kAck);
  run_for(10 * kSec);
  EXPECT_EQ(only_end(), End::timed_out);
  EXPECT_TRUE(host_sees_reset());
  EXPECT_EQ(counters.flows, 0U);
  EXPECT_EQ(flows->next_deadline(), std::nullopt);
}

TEST_F(TcpHandshakeTest, ALateAckStillCompletesIt) {
  splice(open(), make_tcp_pair());
  advance(kSec);
  seen();
  send({.seq = 1, .ack = 1});
  guest_says("hello");
  EXPECT_EQ(host_hears_text(5), "hello");
  run_for(kSec * 60);
  EXPECT_TRUE(upcalls.ends.empty());
}

TEST_F(TcpHandshakeTest, DataMayComeWithTheAck) {
  splice(open(), make_tcp_pair());
  finish_handshake();
  next_port();
  splice(open(), make_tcp_pair());
  EXPECT_EQ(only().flags, kSyn | kAck);
  send({.flags = kAck | kPsh, .seq = 1, .ack = 1, .data = bytes_of_text("at once")});
  EXPECT_EQ(host_hears_text(7), "at once");
  expect_ack(8);
}

TEST_F(TcpHandshakeTest, AFinMayComeWithTheAck) {
  splice(open(), make_tcp_pair());
  EXPECT_EQ(only().flags, kSyn | kAck);
  send({.flags = kAck | kFin, .seq = 1, .ack = 1, .data = bytes_of_text("bye")});
  EXPECT_EQ(host_hears_text(3), "bye");
  EXPECT_TRUE(host_sees_end());
  expect_ack(5);
}

// RFC 9293, 3.10.7.4, "fifth": an acknowledgement of what was never sent.
TEST_F(TcpHandshakeTest, AWrongAckOfTheSynAckIsReset) {
  splice(open(), make_tcp_pair());
  seen();
  send({.seq = 1, .ack = 77});
  const Segment reset = only();
  EXPECT_EQ(reset.flags, kRst);
  EXPECT_EQ(reset.seq, 77U);
  send({.seq = 1, .ack = 1});
  guest_says("still here");
  EXPECT_EQ(host_hears_text(10), "still here");
}

TEST_F(TcpHandshakeTest, AnAckOutsideTheWindowDoesNotCompleteIt) {
  splice(open(), make_tcp_pair());
  seen();
  send({.seq = 500'000, .ack = 1});
  expect_ack(1);
  host_says("x");
  expect_silence();
  send({.seq = 1, .ack = 1});
  EXPECT_EQ(only().data.size(), 1U);
}

TEST_F(TcpHandshakeTest, WhatTheHostSaidMeanwhileFollowsTheHandshake) {
  splice(open(), make_tcp_pair());
  host_says("220 ready");
  EXPECT_EQ(only().flags, kSyn | kAck);
  send({.seq = 1, .ack = 1});
  EXPECT_EQ(text_of(only().data), "220 ready");
}

// What the host has said must not wait for the next event when the segment that completes the handshake is no good
// otherwise.
TEST_F(TcpHandshakeTest, WhatTheHostSaidFollowsEvenAnOddAck) {
  wire::TcpOptions options = guest_options();
  options.timestamps = wire::TcpTimestamps{now_ms(), 0};
  splice(open(options), make_tcp_pair());
  host_says("220 ready");
  seen();
  timestamps = false;
  send({.seq = 1, .ack = 1});
  EXPECT_EQ(text_of(only().data), "220 ready");
}

TEST_F(TcpHandshakeTest, TheGuestMayGiveUpAfterTheSynAck) {
  splice(open(), make_tcp_pair());
  seen();
  send({.flags = kRst, .seq = 1});
  EXPECT_EQ(only_end(), End::guest_reset);
  EXPECT_TRUE(host_sees_reset());
  expect_silence();
}

TEST_F(TcpHandshakeTest, ABlindResetDoesNotEndIt) {
  splice(open(), make_tcp_pair());
  seen();
  send({.flags = kRst, .seq = 2});
  send({.flags = kRst, .seq = 0});
  EXPECT_TRUE(upcalls.ends.empty());
}

// A guest that has forgotten its first try and begins anew is told of it, and resets it itself.
TEST_F(TcpHandshakeTest, ANewSynIsChallenged) {
  splice(open(), make_tcp_pair());
  seen();
  send({.flags = kSyn, .seq = 5000, .window = 65'535, .options = guest_options()});
  expect_ack(1);
  send({.flags = kRst, .seq = 1});
  EXPECT_EQ(only_end(), End::guest_reset);
  guest_isn += 5000;
  open();
  EXPECT_EQ(upcalls.opened.size(), 2U);
}

// ---- Giving up before the verdict ----

TEST_F(TcpHandshakeTest, AGuestThatGaveUpIsClosedWithTheSplice) {
  const FlowId flow = open();
  send({.flags = kRst, .seq = 1});
  EXPECT_TRUE(upcalls.ends.empty());
  SocketPair pair = make_tcp_pair();
  host = std::move(pair.host);
  flows->on_splice(flow, std::move(pair.ours));
  EXPECT_EQ(only_end(), End::guest_reset);
  EXPECT_TRUE(host_sees_reset());
  EXPECT_EQ(counters.flows, 0U);
  expect_silence();
}

TEST_F(TcpHandshakeTest, AGuestThatGaveUpIsClosedWithThePeek) {
  const FlowId flow = open();
  send({.flags = kRst, .seq = 1});
  flows->on_peek(flow, 1000);
  EXPECT_EQ(only_end(), End::guest_reset);
  EXPECT_EQ(counters.flows, 0U);
}

TEST_F(TcpHandshakeTest, ARefusalOfAGuestThatGaveUpIsNotTold) {
  const FlowId flow = open();
  send({.flags = kRst, .seq = 1});
  flows->on_refuse(flow, Refusal::host_unreachable);
  EXPECT_TRUE(upcalls.ends.empty());
  EXPECT_EQ(counters.flows, 0U);
  expect_silence();
}

TEST_F(TcpHandshakeTest, ADropOfAGuestThatGaveUpIsNotTold) {
  const FlowId flow = open();
  send({.flags = kRst, .seq = 1});
  flows->on_drop(flow);
  EXPECT_TRUE(upcalls.ends.empty());
  EXPECT_EQ(counters.flows, 0U);
}

TEST_F(TcpHandshakeTest, AResetOfAnotherSynDoesNotGiveUp) {
  const FlowId flow = open();
  send({.flags = kRst, .seq = 2});
  splice(flow, make_tcp_pair());
  EXPECT_EQ(only().flags, kSyn | kAck);
}

TEST_F(TcpHandshakeTest, TheSamePortMayTryAgainBeforeTheFirstVerdict) {
  const FlowId first = open();
  send({.flags = kRst, .seq = 1});
  guest_isn += 100'000;
  const FlowId second = open();
  EXPECT_NE(first, second);
  flows->on_refuse(first, Refusal::reset);
  expect_silence();
  splice(second, make_tcp_pair());
  EXPECT_EQ(only().flags, kSyn | kAck);
}

TEST_F(TcpHandshakeTest, AVerdictAboutNothingClosesItsDescriptor) {
  SocketPair pair = make_tcp_pair();
  host = std::move(pair.host);
  flows->on_splice(with_kind(99, Kind::tcp), std::move(pair.ours));
  EXPECT_TRUE(host_sees_reset());
  EXPECT_TRUE(upcalls.ends.empty());
}

// ---- Refusals ----

TEST_F(TcpHandshakeTest, ARefusalByReset) {
  flows->on_refuse(open(), Refusal::reset);
  const Segment reset = only();
  EXPECT_EQ(reset.flags, kRst | kAck);
  EXPECT_EQ(reset.seq, 0U);
  EXPECT_EQ(reset.ack, 1U);
  EXPECT_TRUE(upcalls.ends.empty());
  EXPECT_EQ(counters.flows, 0U);
}

struct IcmpRefusal {
  Refusal refusal;
  std::uint8_t code;
};

class TcpIcmpRefusalTest : public TcpFixture, public ::testing::WithParamInterface<IcmpRefusal> {};

TEST_P(TcpIcmpRefusalTest, QuotesTheSyn) {
  flows->on_refuse(open(), GetParam().refusal);
  ASSERT_EQ(wire.frames.size(), 1U);
  const Parsed error = parse(wire.take().front());
  EXPECT_EQ(error.problem, "");
  EXPECT_EQ(error.protocol, wire::kProtocolIcmp);
  const auto header = header_of<wire::IcmpHeader>(error.payload);
  EXPECT_EQ(header.type, wire::kIcmpUnreachable);
  EXPECT_EQ(header.code, GetParam().code);
  const auto quoted = header_of<wire::Ipv4Header>(error.payload, sizeof header);
  EXPECT_EQ(quoted.protocol, wire::kProtocolTcp);
  EXPECT_EQ(wire::IpAddress::ipv4(quoted.source), guest.address);
  const auto ports =
      header_of<wire::TcpHeader>(joined({ByteView(error.payload).subspan(sizeof header + sizeof quoted), Bytes(12)}));
  EXPECT_EQ(ports.source_port, guest.port);
  EXPECT_EQ(ports.destination_port, server.port);
  EXPECT_EQ(ports.sequence, guest_isn);
  EXPECT_TRUE(upcalls.ends.empty());
  EXPECT_EQ(counters.flows, 0U);
}

INSTANTIATE_TEST_SUITE_P(Kinds, TcpIcmpRefusalTest,
                         ::testing::Values(IcmpRefusal{Refusal::net_unreachable, 0},
                                           IcmpRefusal{Refusal::host_unreachable, 1},
                                           IcmpRefusal{Refusal::port_unreachable, 3},
                                           IcmpRefusal{Refusal::admin_prohibited, 13}));

TEST_F(TcpHandshakeTest, WithoutIcmpErrorsLeftARefusalIsAReset) {
  for (std::uint64_t i = 0; i < IcmpErrors::kBurst; ++i) {
    flows->on_refuse(open(), Refusal::host_unreachable);
    next_port();
  }
  EXPECT_EQ(wire.take().size(), IcmpErrors::kBurst);
  flows->on_refuse(open(), Refusal::host_unreachable);
  EXPECT_EQ(only().flags, kRst | kAck);
}

TEST_F(TcpHandshakeTest, ADroppedSynIsAskedAboutAgain) {
  flows->on_drop(open());
  expect_silence();
  EXPECT_EQ(counters.flows, 0U);
  open();
  EXPECT_EQ(upcalls.opened.size(), 2U);
}

TEST_F(TcpHandshakeTest, ADescriptorThatCannotBeWatchedIsAReset) {
  upcalls.can_watch = false;
  const FlowId flow = open();
  SocketPair pair = make_tcp_pair();
  host = std::move(pair.host);
  flows->on_splice(flow, std::move(pair.ours));
  EXPECT_EQ(only().flags, kRst | kAck);
  EXPECT_TRUE(host_sees_reset());
}

// ---- Limits ----

TEST_F(TcpHandshakeTest, AFullTableRefusesByReset) {
  config.max_flows = 3;
  restart();
  for (int i = 0; i < 3; ++i, next_port()) open();
  send_syn();
  EXPECT_EQ(only().flags, kRst | kAck);
  EXPECT_EQ(upcalls.opened.size(), 3U);
  EXPECT_EQ(counters.flows, 3U);
  flows->on_refuse(upcalls.opened.front().flow, Refusal::reset);
  wire.take();
  open();
  EXPECT_EQ(upcalls.opened.size(), 4U);
}

TEST_F(TcpHandshakeTest, ASynOfASpoofedLoopbackOpensNothing) {
  use({ip4(127, 0, 0, 1), 40'000}, server);
  send_syn();
  EXPECT_TRUE(upcalls.opened.empty());
  expect_silence();
}

TEST_F(TcpHandshakeTest, AfterSeverNothingOpens) {
  environment.severed = true;
  send_syn();
  EXPECT_TRUE(upcalls.opened.empty());
  expect_silence();
}

// ---- Initial sequence numbers (RFC 6528) ----

class TcpIsnTest : public TcpFixture {
 protected:
  std::uint32_t isn_of_next() {
    splice(open(), make_tcp_pair());
    seen();
    const std::uint32_t isn = our_isn;
    send({.flags = kRst, .seq = 1});
    return isn;
  }
};

TEST_F(TcpIsnTest, DiffersWithTheTuple) {
  const std::uint32_t first = isn_of_next();
  next_port();
  const std::uint32_t other_port = isn_of_next();
  use(guest, {kServer, 81});
  const std::uint32_t other_server = isn_of_next();
  EXPECT_GT(first - other_port, 1000U);
  EXPECT_GT(first - other_server, 1000U);
  EXPECT_GT(other_port - other_server, 1000U);
}

TEST_F(TcpIsnTest, GrowsWithTimeForOneTuple) {
  const std::uint32_t first = isn_of_next();
  advance(4096 * 1000);
  EXPECT_EQ(isn_of_next() - first, 1000U);
}

TEST_F(TcpIsnTest, DiffersWithTheKey) {
  const std::uint32_t first = isn_of_next();
  config.hash_key[0] ^= 1;
  restart();
  EXPECT_NE(isn_of_next(), first);
}

// ---- The wire has no room ----

TEST_F(TcpHandshakeTest, ASynAckWithoutRoomFollowsWhenThereIs) {
  wire.frames_of_room = 0;
  splice(open(), make_tcp_pair());
  expect_silence();
  give_room(std::nullopt);
  EXPECT_EQ(only().flags, kSyn | kAck);
}

TEST_F(TcpHandshakeTest, ARefusalWithoutRoomFollowsWhenThereIs) {
  const FlowId flow = open();
  wire.frames_of_room = 0;
  flows->on_refuse(flow, Refusal::reset);
  expect_silence();
  give_room(std::nullopt);
  const Segment reset = only();
  EXPECT_EQ(reset.flags, kRst | kAck);
  EXPECT_EQ(reset.ack, 1U);
}

TEST_F(TcpHandshakeTest, AHeaderInSmallPiecesIsRead) {
  piece_bytes = 1;
  establish();
  guest_says("cut small");
  EXPECT_EQ(host_hears_text(9), "cut small");
}

}  // namespace
}  // namespace microagent::netstack
