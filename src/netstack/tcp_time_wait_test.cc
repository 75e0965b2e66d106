// What is left of a connection that we ended first (RFC 9293, 3.6.1; RFC 6191).

#include "netstack/testing/tcp_fixture.h"

namespace microagent::netstack {
namespace {

using namespace testing;

class TcpTimeWaitTest : public TcpFixture {};

TEST_F(TcpTimeWaitTest, ALateFinIsAcknowledged) {
  establish();
  close_by_host_first();
  seen();
  send({.flags = kFin | kAck, .seq = 1, .ack = 2});
  const Segment ack = expect_ack(2);
  EXPECT_EQ(ack.seq, 2U);
  EXPECT_EQ(upcalls.ends.size(), 1U);
}

TEST_F(TcpTimeWaitTest, AResetDoesNotEndTheLingering) {
  establish();
  close_by_host_first();
  send({.flags = kRst, .seq = 2});
  send({.flags = kFin | kAck, .seq = 1, .ack = 2});
  EXPECT_EQ(last().ack, 2U);
}

TEST_F(TcpTimeWaitTest, TheLingeringEnds) {
  establish();
  close_by_host_first();
  seen();
  run_for(10 * kSec);
  EXPECT_EQ(flows->next_deadline(), std::nullopt);
  send({.flags = kFin | kAck, .seq = 1, .ack = 2});
  EXPECT_EQ(only().flags, kRst);
}

TEST_F(TcpTimeWaitTest, ALingeringConnectionIsNotCounted) {
  config.max_flows = 1;
  restart();
  establish();
  EXPECT_EQ(counters.flows, 1U);
  close_by_host_first();
  EXPECT_EQ(counters.flows, 0U);
  next_port();
  establish();
  EXPECT_EQ(counters.flows, 1U);
}

TEST_F(TcpTimeWaitTest, ANewerSynMayHaveThePort) {
  establish();
  guest_says("x");
  expect_ack(2);
  close_by_host_first();
  seen();
  guest_isn += 100'000;
  const FlowId again = open();
  splice(again, make_tcp_pair());
  EXPECT_EQ(only().flags, kSyn | kAck);
}

TEST_F(TcpTimeWaitTest, AnOlderSynMayNot) {
  establish();
  close_by_host_first();
  seen();
  send({.flags = kSyn, .seq = 0 - 100'000U, .window = 65'535, .options = guest_options()});
  EXPECT_EQ(upcalls.opened.size(), 1U);
  EXPECT_EQ(only().flags, kAck);
}

// RFC 6191.
TEST_F(TcpTimeWaitTest, ASynWithANewerStampMayHaveThePort) {
  wire::TcpOptions options = guest_options();
  options.timestamps = wire::TcpTimestamps{900, 0};
  establish(options);
  timestamps = false;
  wire::TcpOptions stamp;
  stamp.timestamps = wire::TcpTimestamps{5001, 0};
  host_ends();
  seen();
  send({.flags = kFin | kAck, .seq = 1, .ack = 2, .options = stamp});
  EXPECT_EQ(only_end(), End::finished);
  seen();
  guest_isn -= 100'000;  // older by its number
  options.timestamps = wire::TcpTimestamps{5000, 0};
  send({.flags = kSyn, .window = 65'535, .options = options});
  EXPECT_EQ(upcalls.opened.size(), 1U);
  options.timestamps = wire::TcpTimestamps{5002, 0};
  send({.flags = kSyn, .window = 65'535, .options = options});
  EXPECT_EQ(upcalls.opened.size(), 2U);
}

TEST_F(TcpTimeWaitTest, NoMoreLingerThanTheLimit) {
  const Endpoint first = guest;
  for (int i = 0; i <= 4096; ++i) {
    establish_unix();
    close_by_host_first();
    host.reset();
    if (i < 4096) next_port();
  }
  seen();
  send({.flags = kFin | kAck, .seq = 1, .ack = 2});
  EXPECT_EQ(only().flags, kAck);  // the last lingers
  use(first, server);
  send({.flags = kFin | kAck, .seq = 1, .ack = 2});
  EXPECT_EQ(only().flags, kRst);  // the first had to go
  EXPECT_EQ(counters.flows, 0U);
}

}  // namespace
}  // namespace microagent::netstack
