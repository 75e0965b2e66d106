// Flows whose first bytes decide.

#include "netstack/testing/tcp_fixture.h"

namespace microagent::netstack {
namespace {

using namespace testing;

class TcpPeekTest : public TcpFixture {
 protected:
  Bytes told() const {
    Bytes all;
    for (const auto& each : upcalls.peeked) all.insert(all.end(), each.bytes.begin(), each.bytes.end());
    return all;
  }
  std::string told_text() const { return text_of(told()); }
};

TEST_F(TcpPeekTest, TheGuestIsAcceptedAndItsFirstBytesAreTold) {
  const FlowId flow = establish_peeked(16'384);
  guest_says("GET / ");
  expect_ack(7);
  guest_says("HTTP/1.1");
  expect_ack(15);
  ASSERT_EQ(upcalls.peeked.size(), 2U);
  EXPECT_EQ(upcalls.peeked[0].flow, flow);
  EXPECT_FALSE(upcalls.peeked[0].ended);
  EXPECT_EQ(told_text(), "GET / HTTP/1.1");
}

TEST_F(TcpPeekTest, TheSpliceDeliversThemInOrder) {
  const FlowId flow = establish_peeked(16'384);
  guest_says("first ");
  guest_says("bytes");
  seen();
  splice(flow, make_tcp_pair());
  EXPECT_EQ(host_hears_text(11), "first bytes");
  guest_says(", then more");
  EXPECT_EQ(host_hears_text(11), ", then more");
  EXPECT_EQ(upcalls.peeked.size(), 2U);
}

TEST_F(TcpPeekTest, TheWindowIsTheLimit) {
  const FlowId flow = open();
  flows->on_peek(flow, 1000);
  const Segment answer = finish_handshake();
  EXPECT_EQ(answer.window, 1000);
  guest_says(pattern(600));
  EXPECT_EQ(expect_ack(601).window, (400 + 127) >> 7);  // in units of its scale, rounded up
  guest_says(pattern(600, 2));                          // more than was allowed
  EXPECT_EQ(expect_ack(1001).window, 0);
  EXPECT_EQ(told().size(), 1000U);
  send({.seq = 1001, .ack = 1, .data = Bytes(1)});  // a probe
  EXPECT_EQ(expect_ack(1001).window, 0);
  EXPECT_EQ(told().size(), 1000U);
}

TEST_F(TcpPeekTest, TheSpliceOpensTheWindow) {
  const FlowId flow = establish_peeked(1000);
  guest_says(pattern(1000));
  EXPECT_EQ(expect_ack(1001).window, 0);
  splice(flow, make_tcp_pair());
  const Segment update = expect_ack(1001);
  EXPECT_GE(update.window << 7, 64 * 1024);
  EXPECT_EQ(host_hears(1000), pattern(1000));
}

TEST_F(TcpPeekTest, ALimitBeyondTheFirstWindowIsCut) {
  const FlowId flow = open();
  flows->on_peek(flow, 10'000'000);
  EXPECT_EQ(finish_handshake().window, 65'535);
}

TEST_F(TcpPeekTest, EarlySegmentsAreToldInTheirTurn) {
  establish_peeked(16'384);
  send({.seq = 1 + 5, .ack = 1, .data = bytes_of_text("world")});
  EXPECT_TRUE(upcalls.peeked.empty());
  send({.seq = 1, .ack = 1, .data = bytes_of_text("hello")});
  EXPECT_EQ(told_text(), "helloworld");
}

TEST_F(TcpPeekTest, RepetitionsAreNotToldAgain) {
  establish_peeked(16'384);
  guest_says("hello");
  send({.seq = 1, .ack = 1, .data = bytes_of_text("hello")});
  EXPECT_EQ(told_text(), "hello");
}

TEST_F(TcpPeekTest, TheGuestsEndIsTold) {
  const FlowId flow = establish_peeked(16'384);
  send({.flags = kFin | kAck, .seq = 1, .ack = 1, .data = bytes_of_text("all")});
  guest_next = 5;
  ASSERT_EQ(upcalls.peeked.size(), 2U);
  EXPECT_TRUE(upcalls.peeked.back().ended);
  EXPECT_EQ(expect_ack(4).flags, kAck);  // the bytes, not the end
  splice(flow, make_tcp_pair());
  EXPECT_EQ(last().ack, 5U);
  EXPECT_EQ(host_hears_text(3), "all");
  EXPECT_TRUE(host_sees_end());
  host_says("and the answer");
  EXPECT_EQ(text_of(guest_hears()), "and the answer");
}

TEST_F(TcpPeekTest, AnEndWithoutBytesIsTold) {
  establish_peeked(16'384);
  guest_ends();
  ASSERT_EQ(upcalls.peeked.size(), 1U);
  EXPECT_TRUE(upcalls.peeked.front().ended);
  EXPECT_TRUE(upcalls.peeked.front().bytes.empty());
}

TEST_F(TcpPeekTest, ARefusalAfterwardsIsAReset) {
  const FlowId flow = establish_peeked(16'384);
  guest_says("GET /forbidden");
  seen();
  flows->on_refuse(flow, Refusal::admin_prohibited);
  const Segment reset = only();
  EXPECT_EQ(reset.flags, kRst | kAck);
  EXPECT_EQ(reset.seq, 1U);
  EXPECT_EQ(reset.ack, 15U);
  EXPECT_EQ(only_end(), End::killed);
  EXPECT_EQ(counters.flows, 0U);
}

TEST_F(TcpPeekTest, ADropAfterwardsIsAResetToo) {
  const FlowId flow = establish_peeked(16'384);
  flows->on_drop(flow);
  EXPECT_EQ(only().flags, kRst | kAck);
  EXPECT_EQ(only_end(), End::killed);
}

TEST_F(TcpPeekTest, AGuestThatGivesUpIsTold) {
  const FlowId flow = establish_peeked(16'384);
  guest_says("GET");
  send({.flags = kRst, .seq = 4});
  EXPECT_EQ(only_end(), End::guest_reset);
  EXPECT_EQ(upcalls.ends.front().flow, flow);
  EXPECT_EQ(upcalls.ends.front().totals.bytes_out, 0U);
  // A verdict that crosses this is void.
  SocketPair pair = make_tcp_pair();
  host = std::move(pair.host);
  flows->on_splice(flow, std::move(pair.ours));
  EXPECT_TRUE(host_sees_reset());
  EXPECT_EQ(upcalls.ends.size(), 1U);
}

TEST_F(TcpPeekTest, AGuestThatGivesUpBeforeTheHandshakeIsOverIsTold) {
  const FlowId flow = open();
  flows->on_peek(flow, 1000);
  seen();
  send({.flags = kRst, .seq = 1});
  EXPECT_EQ(only_end(), End::guest_reset);
}

TEST_F(TcpPeekTest, AGuestThatNeverCompletesTheHandshakeIsTold) {
  flows->on_peek(open(), 1000);
  run_for(20 * kSec);
  EXPECT_EQ(only_end(), End::timed_out);
}

TEST_F(TcpPeekTest, ASpliceBeforeTheHandshakeIsOver) {
  const FlowId flow = open();
  flows->on_peek(flow, 1000);
  EXPECT_EQ(only().flags, kSyn | kAck);
  splice(flow, make_tcp_pair());
  host_says("220 ready");
  expect_silence();  // a guest without our SYN|ACK would reset it
  send({.seq = 1, .ack = 1});
  EXPECT_EQ(text_of(only().data), "220 ready");
  guest_says("EHLO");
  EXPECT_EQ(host_hears_text(4), "EHLO");
}

TEST_F(TcpPeekTest, KillWhilePeeking) {
  const FlowId flow = establish_peeked(16'384);
  guest_says("abc");
  seen();
  EXPECT_TRUE(flows->kill(flow));
  EXPECT_EQ(only().flags, kRst | kAck);
  EXPECT_EQ(only_end(), End::killed);
}

TEST_F(TcpPeekTest, ASecondPeekChangesNothing) {
  const FlowId flow = establish_peeked(1000);
  guest_says("abc");
  flows->on_peek(flow, 1);
  splice(flow, make_tcp_pair());
  EXPECT_EQ(host_hears_text(3), "abc");
}

TEST_F(TcpPeekTest, ASecondSpliceIsClosed) {
  const FlowId flow = establish();
  SocketPair second = make_tcp_pair();
  flows->on_splice(flow, std::move(second.ours));
  guest_says("abc");
  EXPECT_EQ(host_hears_text(3), "abc");
  std::swap(host, second.host);
  EXPECT_TRUE(host_sees_reset());
}

TEST_F(TcpPeekTest, FirstBytesAreCountedWhenTheHostTakesThem) {
  const FlowId flow = establish_peeked(1000);
  guest_says("abc");
  splice(flow, make_tcp_pair());
  flows->kill(flow);
  EXPECT_EQ(only_totals().bytes_out, 3U);
}

TEST_F(TcpPeekTest, ASpliceToASocketThatHasFailedResetsTheGuest) {
  const FlowId flow = establish_peeked(1000);
  guest_says("abc");
  seen();
  SocketPair pair = make_unix_pair();
  pair.host.reset();
  splice(flow, std::move(pair));
  EXPECT_EQ(last().flags, kRst | kAck);
  EXPECT_EQ(only_end(), End::host_reset);
}

}  // namespace
}  // namespace microagent::netstack
