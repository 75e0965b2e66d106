// What the host says, on its way to the guest.

#include <linux/sockios.h>
#include <sys/ioctl.h>
#include <sys/socket.h>

#include "netstack/testing/tcp_fixture.h"
#include "wire/virtio.h"

namespace microagent::netstack {
namespace {

using namespace testing;

enum class Socket : std::uint8_t { tcp_at_offset, tcp_from_front, unix };

// Every test runs with a TCP socket on a kernel that knows SO_PEEK_OFF, on one that does not, and with a Unix socket.
class TcpSendTest : public TcpFixture, public ::testing::WithParamInterface<Socket> {
 protected:
  TcpSendTest() { config.sockets_peek_at_offset = GetParam() != Socket::tcp_from_front; }

  FlowId start(const wire::TcpOptions& options = guest_options()) {
    return establish_with(GetParam() == Socket::unix ? make_unix_pair() : make_tcp_pair(), options);
  }
  std::size_t queued() const {
    int bytes = 0;
    EXPECT_EQ(::ioctl(descriptor, SIOCINQ, &bytes), 0);
    return static_cast<std::size_t>(bytes);
  }
  static Bytes data_of(const std::vector<Segment>& segments) {
    Bytes all;
    for (const Segment& segment : segments) all.insert(all.end(), segment.data.begin(), segment.data.end());
    return all;
  }
};

INSTANTIATE_TEST_SUITE_P(Sockets, TcpSendTest,
                         ::testing::Values(Socket::tcp_at_offset, Socket::tcp_from_front, Socket::unix),
                         [](const auto& kind) {
                           switch (kind.param) {
                             case Socket::tcp_at_offset: return "TcpAtOffset";
                             case Socket::tcp_from_front: return "TcpFromFront";
                             case Socket::unix: return "Unix";
                           }
                           return "";
                         });

TEST_P(TcpSendTest, WhatTheHostSaysComes) {
  start();
  host_says("hello");
  const Segment segment = only();
  EXPECT_EQ(segment.flags, kAck | kPsh);
  EXPECT_EQ(segment.seq, 1U);
  EXPECT_EQ(text_of(segment.data), "hello");
  guest_acks(6);
  expect_silence();
  host_says("again");
  EXPECT_EQ(text_of(only().data), "again");
}

TEST_P(TcpSendTest, WithoutTsoASegmentAFrame) {
  start();
  const Bytes said = pattern(10 * kMss + 100);
  host_says(said);
  const auto segments = seen();
  EXPECT_EQ(data_of(segments), said);
  for (const Segment& segment : segments) {
    EXPECT_LE(segment.data.size(), kMss);
    EXPECT_EQ(segment.offload.gso_type, wire::kNetHeaderGsoNone);
  }
  EXPECT_TRUE(segments.back().has(kPsh));
  EXPECT_FALSE(segments.front().has(kPsh));
}

TEST_P(TcpSendTest, WithTsoAFrameIsAsLargeAsAPacketCanBe) {
  wire.can = {.csum = true, .tso4 = true, .tso6 = false, .uso = false};
  start();
  const Bytes said = pattern(150'000);
  host_says(said);
  const auto segments = seen();
  EXPECT_EQ(data_of(segments), said);
  std::size_t largest = 0;
  for (const Segment& segment : segments) {
    largest = std::max(largest, segment.data.size());
    if (segment.data.size() <= kMss) continue;
    EXPECT_EQ(segment.offload.gso_type, wire::kNetHeaderGsoTcp4);
    EXPECT_EQ(segment.offload.gso_size, kMss);
    EXPECT_EQ(segment.offload.hdr_len, 14 + 20 + 20);
    EXPECT_EQ(segment.offload.flags, wire::kNetHeaderNeedsCsum);
  }
  EXPECT_EQ(largest, 65'495U / kMss * kMss);
}

TEST_P(TcpSendTest, WithTsoASmallFrameIsOrdinary) {
  wire.can = {.csum = true, .tso4 = true, .tso6 = false, .uso = false};
  start();
  host_says(pattern(kMss));
  const Segment segment = only();
  EXPECT_EQ(segment.offload.gso_type, wire::kNetHeaderGsoNone);
  EXPECT_EQ(segment.offload.gso_size, 0);
}

TEST_P(TcpSendTest, WithTsoAndTimestampsSegmentsAreSmaller) {
  wire.can = {.csum = true, .tso4 = true, .tso6 = false, .uso = false};
  wire::TcpOptions options = guest_options();
  options.timestamps = wire::TcpTimestamps{now_ms(), 0};
  start(options);
  host_says(pattern(3 * kMss));
  const Segment segment = seen().front();
  EXPECT_EQ(segment.offload.gso_size, kMss - 12);
  EXPECT_EQ(segment.offload.hdr_len, 14 + 20 + 32);
}

TEST_P(TcpSendTest, TheGuestsWindowIsTheLimit) {
  start();
  guest_acks(1, 4096 >> 7);
  const Bytes said = pattern(20'000);
  host_says(said);
  Bytes heard = data_of(seen());
  EXPECT_EQ(heard.size(), 4096U / kMss * kMss);
  guest_acks(1 + 2920, 4096 >> 7);
  const auto more = seen();
  EXPECT_EQ(more.front().seq, 1 + 2920U);
  EXPECT_EQ(data_of(more).size(), 2920U);
}

TEST_P(TcpSendTest, WhatIsAcknowledgedLeavesTheQueue) {
  start();
  host_says(pattern(5000));
  seen();
  EXPECT_EQ(queued(), 5000U);
  guest_acks(1 + 2000);
  EXPECT_LE(queued(), 5000U);
  guest_acks(1 + 5000);
  EXPECT_EQ(queued(), 0U);
}

// Small messages fill a socket's buffer with little data: none of it may be kept back when it is acknowledged.
TEST_P(TcpSendTest, AHostThatFillsItsBufferInCrumbsGoesOn) {
  start();
  const Bytes crumb(1, 'x');
  std::size_t written = 0;
  while (written < 20'000 && host_writes(crumb) == 1) ++written;
  events(true);
  EXPECT_EQ(guest_hears().size(), written);
  EXPECT_EQ(queued(), 0U);
  EXPECT_EQ(host_writes(crumb), 1U);
}

TEST_P(TcpSendTest, MuchDataComesToASlowGuest) {
  start();
  guest_acks(1, 512);  // 64 KiB
  const Bytes said = pattern(5 * 1024 * 1024);
  Bytes heard;
  std::size_t written = 0;
  while (heard.size() < said.size()) {
    written += host_writes(ByteView(said).subspan(written));
    events();
    const auto segments = seen();
    if (segments.empty()) {
      guest_acks(guest_heard, 512);
      continue;
    }
    // An acknowledgement for every other segment.
    for (std::size_t i = 0; i < segments.size(); ++i) {
      ASSERT_EQ(segments[i].seq, 1 + heard.size());
      heard.insert(heard.end(), segments[i].data.begin(), segments[i].data.end());
      if (i % 2 == 1 || i + 1 == segments.size()) guest_acks(1 + static_cast<std::uint32_t>(heard.size()), 512);
    }
  }
  EXPECT_EQ(heard, said);
  EXPECT_EQ(queued(), 0U);
}

TEST_P(TcpSendTest, SequenceNumbersWrapAround) {
  const FlowId flow = open();
  // Our number grows with the time: choose the time so that it is about to wrap.
  SocketPair probe = make_tcp_pair();
  splice(flow, std::move(probe));
  seen();
  const std::uint32_t isn = our_isn;
  send({.flags = kRst, .seq = 1});
  upcalls.ends.clear();
  environment.now_ns += (0xffff'ffffULL - isn - 2000) * 4096;
  start();
  ASSERT_GT(our_isn, 0xffff'f000U);
  const Bytes said = pattern(200'000);
  host_says(said);
  EXPECT_EQ(guest_hears(), said);
  host_ends();
  EXPECT_EQ(only().kind(), kFin | kAck);
}

// ---- A closed window (RFC 9293, 3.8.6.1) ----

TEST_P(TcpSendTest, AClosedWindowIsProbedAndProbedMoreSlowly) {
  start();
  guest_acks(1, 0);
  host_says("waits");
  expect_silence();
  advance(kSec);
  const Segment probe = only();
  EXPECT_EQ(probe.flags, kAck);
  EXPECT_EQ(probe.seq, 0U);  // before what the guest expects, so that it must answer
  EXPECT_TRUE(probe.data.empty());
  advance(kSec);
  expect_silence();
  advance(kSec);
  EXPECT_EQ(only().seq, 0U);
  guest_acks(1, 0);
  expect_silence();
  guest_acks(1, 100);
  EXPECT_EQ(text_of(only().data), "waits");
}

TEST_P(TcpSendTest, AWindowThatStaysClosedIsNoReasonToGiveUp) {
  start();
  guest_acks(1, 0);
  host_says("waits");
  for (int i = 0; i < 600; ++i) {
    run_for(60 * kSec);
    seen();
    guest_acks(1, 0);
  }
  EXPECT_TRUE(upcalls.ends.empty());
  guest_acks(1, 100);
  EXPECT_EQ(text_of(only().data), "waits");
}

TEST_P(TcpSendTest, AGuestThatAnswersNoProbeIsGivenUp) {
  start();
  guest_acks(1, 0);
  host_says("waits");
  run_for(3 * 7200 * kSec);
  EXPECT_EQ(only_end(), End::timed_out);
  EXPECT_EQ(counters.flows, 0U);
}

TEST_P(TcpSendTest, AnOpenedWindowIsUsedWithoutAProbe) {
  start();
  guest_acks(1, 0);
  host_says("waits");
  guest_acks(1, 1);
  EXPECT_EQ(text_of(only().data), "waits");
  advance(10 * kMs);
  expect_silence();
}

// RFC 9293, 3.8.6.2.1.
TEST_P(TcpSendTest, NoSillyWindows) {
  start();
  guest_acks(1, 4096 >> 7);
  host_says(pattern(20'000));
  seen();
  guest_acks(1 + 1460, (2636 + 128) >> 7);  // opens by a crumb
  expect_silence();
  guest_acks(1 + 2920, 4096 >> 7);
  EXPECT_EQ(seen().front().data.size(), kMss);
}

TEST_P(TcpSendTest, AWindowThatShrinksUnderWayIsRespectedAfterwards) {
  start();
  host_says(pattern(10'000));
  EXPECT_EQ(data_of(seen()).size(), 10'000U);
  guest_acks(1, 0);  // takes back what it gave
  expect_silence();
  run_for(2 * kSec);
  for (const Segment& probe : seen()) EXPECT_TRUE(probe.data.empty());
  guest_acks(1, 100);
  EXPECT_EQ(guest_hears(), pattern(10'000));
}

TEST_P(TcpSendTest, AnOldSegmentDoesNotChangeTheWindow) {
  start();
  guest_says("newer");
  seen();
  send({.seq = 1, .ack = 1, .window = 0, .data = bytes_of_text("newer")});  // from before
  seen();
  host_says("still");
  EXPECT_EQ(text_of(only().data), "still");
}

// ---- The wire has no room ----

TEST_P(TcpSendTest, DataWithoutRoomFollowsWhenThereIs) {
  start();
  wire.frames_of_room = 2;
  const Bytes said = pattern(10 * kMss);
  host_says(said);
  Bytes heard = data_of(seen());
  EXPECT_EQ(heard.size(), 2 * kMss);
  give_room(3);
  const Bytes more = data_of(seen());
  EXPECT_EQ(more.size(), 3 * kMss);
  give_room(std::nullopt);
  const Bytes rest = data_of(seen());
  EXPECT_EQ(joined({heard, more, rest}), said);
}

TEST_P(TcpSendTest, AnAckWithoutRoomFollowsWhenThereIs) {
  start();
  wire.frames_of_room = 0;
  guest_says("hello");
  expect_silence();
  give_room(1);
  expect_ack(6);
}

TEST_P(TcpSendTest, AFinWithoutRoomFollowsWhenThereIs) {
  start();
  wire.frames_of_room = 0;
  guest_says("hello");  // whose acknowledgement must not be lost with the FIN
  host_ends();
  expect_silence();
  give_room(std::nullopt);
  const auto segments = seen();
  ASSERT_FALSE(segments.empty());
  EXPECT_EQ(segments.front().kind(), kFin | kAck);
  EXPECT_EQ(segments.back().ack, 6U);
}

TEST_P(TcpSendTest, AResetWithoutRoomFollowsWhenThereIs) {
  const FlowId flow = start();
  wire.frames_of_room = 0;
  flows->kill(flow);
  expect_silence();
  EXPECT_EQ(only_end(), End::killed);
  give_room(std::nullopt);
  EXPECT_EQ(only().flags, kRst | kAck);
}

TEST_P(TcpSendTest, FramesInSmallPiecesAreFilled) {
  wire.piece_bytes = 100;
  start();
  const Bytes said = pattern(100'000);
  host_says(said);
  EXPECT_EQ(guest_hears(), said);
}

TEST_P(TcpSendTest, SeveralThatFoundNoRoomAllGoOn) {
  struct Connection {
    Endpoint guest;
    std::uint32_t isn;
  };
  std::vector<Connection> connections;
  for (int i = 0; i < 3; ++i, next_port()) {
    start();
    connections.push_back({guest, our_isn});
    wire.frames_of_room = 0;
    host_says(pattern(5 * kMss));
    wire.frames_of_room.reset();
  }
  for (int turn = 0; turn < 15; ++turn) give_room(1);
  std::map<std::uint16_t, std::size_t> bytes;
  for (const Frame& frame : wire.take()) {
    const Parsed parsed = parse(frame);
    bytes[header_of<wire::TcpHeader>(parsed.payload).destination_port] += parsed.payload.size() - 20;
  }
  for (const Connection& each : connections) EXPECT_EQ(bytes[each.guest.port], 5 * kMss);
}

// ---- Ends of what the host says ----

TEST_P(TcpSendTest, AnEndThatIsKnownGoesWithTheData) {
  start();
  (void)host_writes(bytes_of_text("last words"));
  host_ends();
  const auto segments = seen();
  EXPECT_EQ(text_of(data_of(segments)), "last words");
  EXPECT_TRUE(segments.back().has(kFin));
  EXPECT_EQ(segments.back().end(), 12U);
}

TEST_P(TcpSendTest, AnEndAtTheEdgeOfASegment) {
  start();
  (void)host_writes(pattern(2 * kMss));
  host_ends();
  const auto segments = seen();
  EXPECT_EQ(data_of(segments), pattern(2 * kMss));
  EXPECT_TRUE(segments.back().has(kFin));
  guest_acks(segments.back().end());
  expect_silence();
}

TEST_P(TcpSendTest, MuchDataAndAnEnd) {
  start();
  const Bytes said = pattern(200'000);
  host_says(said);
  host_ends();
  EXPECT_EQ(guest_hears(), said);
  EXPECT_EQ(guest_heard, 1 + said.size() + 1);
  host.reset();
}

TEST_P(TcpSendTest, AnEndIsToldOnce) {
  start();
  host_ends();
  const Segment fin = only();
  EXPECT_EQ(fin.flags, kFin | kAck);
  guest_acks(2);
  guest_ends();  // makes epoll tell the host's end again
  events();
  EXPECT_EQ(last().ack, 2U);
  EXPECT_EQ(only_end(), End::finished);
}

TEST_P(TcpSendTest, AnEndWaitsForAClosedWindow) {
  start();
  guest_acks(1, 0);
  host_ends();
  expect_silence();
  advance(kSec);
  EXPECT_EQ(only().flags, kAck);  // a probe
  guest_acks(1, 10);
  EXPECT_EQ(only().kind(), kFin | kAck);
}

TEST_P(TcpSendTest, BytesAreCountedOnce) {
  const FlowId flow = start();
  host_says(pattern(4 * kMss));
  seen();
  run_for(3 * kSec);  // sends some again
  EXPECT_FALSE(seen().empty());
  guest_says("abc");
  send({.seq = 1, .ack = 1, .data = bytes_of_text("abc")});
  flows->kill(flow);
  const FlowTotals totals = only_totals();
  EXPECT_EQ(totals.bytes_in, 4 * kMss);
  EXPECT_EQ(totals.bytes_out, 3U);
  EXPECT_EQ(totals.duration_us, 3'000'000U);
}

// ---- Of TCP sockets only ----

class TcpSocketSendTest : public TcpFixture {};

TEST_F(TcpSocketSendTest, UrgentDataIsDataAndEndsNothing) {
  establish();
  (void)host_writes(bytes_of_text("before"));
  ASSERT_EQ(::send(host.get(), "!", 1, MSG_OOB), 1);
  (void)host_writes(bytes_of_text("after"));
  host_ends();
  EXPECT_EQ(text_of(guest_hears()), "before!after");
  EXPECT_EQ(guest_heard, 1 + 12 + 1U);
}

TEST_F(TcpSocketSendTest, UrgentDataDoesNotHoldUpWhatFollows) {
  establish();
  (void)host_writes(bytes_of_text("before"));
  ASSERT_EQ(::send(host.get(), "!", 1, MSG_OOB), 1);
  host_says("after");
  EXPECT_EQ(text_of(guest_hears()), "before!after");
  host_says("more");
  EXPECT_EQ(text_of(guest_hears()), "more");
}

// A host that closes while the guest still talks is a reset, but what it has said before it is not lost.
TEST_F(TcpSocketSendTest, WhatTheHostSaidBeforeItsResetComes) {
  establish();
  guest_acks(1, 0);
  host_says("the answer");
  host_resets();
  expect_silence();
  guest_acks(1, 100);
  const auto segments = seen();
  ASSERT_EQ(segments.size(), 2U);
  EXPECT_EQ(text_of(segments[0].data), "the answer");
  EXPECT_EQ(segments[1].flags, kRst | kAck);
  EXPECT_EQ(segments[1].seq, 11U);
  EXPECT_EQ(only_end(), End::host_reset);
}

TEST_F(TcpSocketSendTest, WhatTheGuestSaysToAResetHostIsNotAcknowledged) {
  establish();
  guest_acks(1, 0);
  host_says("the answer");
  host_resets();
  send({.seq = 1, .ack = 1, .window = 0, .data = bytes_of_text("too late")});
  send({.flags = kFin | kAck, .seq = 9, .ack = 1, .window = 0});
  for (const Segment& segment : seen()) EXPECT_EQ(segment.ack, 1U);
  guest_next = 10;
  guest_acks(1, 100);
  EXPECT_EQ(last().flags, kRst | kAck);
}

TEST_F(TcpSocketSendTest, SmallMessagesAskForSmallBuffers) {
  wire.can = {.csum = true, .tso4 = true, .tso6 = false, .uso = false};
  establish();
  host_says("x");
  EXPECT_EQ(only().data.size(), 1U);
  EXPECT_LE(wire.largest_reservation, 4096U + 54);
}

}  // namespace
}  // namespace microagent::netstack
