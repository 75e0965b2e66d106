// netd's numbers, end to end: limits and verdicts in, usage, closed and dropped out.

#include <gtest/gtest.h>
#include <sys/socket.h>

#include "netd/testing/net_fixture.h"

namespace microagent::netd {
namespace {

using netstack::testing::Bytes;
using testing::kGuest;
using testing::kServer;
using testing::NetdProcess;

class NetdBudgetTest : public testing::NetFixture {
 protected:
  void SetUp() override {
    NetFixture::SetUp();
    start();
  }
  void send(const Bytes& frame) {
    ASSERT_TRUE(guest.offer(frame));
    front->kick(1);
  }
  void send_udp(std::size_t bytes) {
    send(netstack::testing::udp_frame({{kGuest, 4000}, {kServer, 7}}, Bytes(bytes, 'x')));
  }
  // The next message of that type; others before it are of no interest.
  template <typename T>
  std::optional<T> next() {
    while (const auto message = netd.next(netd.mediator())) {
      flow = message->header.flow;
      if (const auto body = message->as<T>()) return body;
    }
    return std::nullopt;
  }
  // The guest's conversation, charged to `budget`; the host's end of it.
  Fd open_charged(flow::BudgetId budget) {
    send_udp(100);
    EXPECT_TRUE(next<flow::Open>());
    std::array<int, 2> ends{};
    EXPECT_EQ(::socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, ends.data()), 0);
    theirs.reset(ends[1]);
    const flow::Verdict verdict{.action = flow::Action::splice, .budget = budget};
    EXPECT_TRUE(netd.mediator().send(flow, verdict, theirs.get()));
    return Fd(ends[0]);
  }

  flow::FlowId flow = 0;  // of the message that came last
  Fd theirs;              // netd's end of the conversation
};

TEST_F(NetdBudgetTest, AGrantIsAskedForAndItsEndEndsTheFlow) {
  ASSERT_TRUE(netd.mediator().send(0, flow::Limits{.budget = flow::kWorkspaceBudget, .bytes = 200}));
  const Fd host = open_charged(flow::kWorkspaceBudget);
  send_udp(100);
  auto usage = next<flow::Usage>();
  while (usage && usage->bytes_out < 200) usage = next<flow::Usage>();  // the first may have been told by then
  ASSERT_TRUE(usage);
  EXPECT_EQ(usage->budget, flow::kWorkspaceBudget);
  ASSERT_TRUE(netd.mediator().send(0, flow::Limits{.budget = flow::kWorkspaceBudget, .last = 1, .bytes = 300}));
  // The next message on the same socket has been handled after it.
  ASSERT_TRUE(netd.mediator().send(flow::kDialledBit | 1, flow::Dial{.protocol = flow::Protocol::tcp}));
  ASSERT_TRUE(next<flow::Closed>());
  send_udp(100);
  send_udp(100);
  // That all is spent is told as soon as it is so, perhaps before the next datagram ends the flow.
  std::optional<flow::Closed> closed;
  while (!closed || usage->bytes_out < 300) {
    const auto message = netd.next(netd.mediator());
    ASSERT_TRUE(message) << "closed: " << closed.has_value() << ", told: " << usage->bytes_out;
    if (const auto told = message->as<flow::Usage>()) usage = told;
    if (const auto end = message->as<flow::Closed>()) closed = end;
  }
  EXPECT_EQ(closed->end, flow::End::capped);
  EXPECT_EQ(closed->bytes_out, 300U);
  EXPECT_EQ(usage->bytes_out, 300U);
}

TEST_F(NetdBudgetTest, LimitsMayComeBeforeTheConfiguration) {
  NetdProcess early{MICROAGENT_NETD};
  ASSERT_TRUE(early.mediator().send(0, flow::Limits{.budget = 7, .bytes = 1}));
  EXPECT_TRUE(early.configure());
  EXPECT_TRUE(early.alive());
}

TEST_F(NetdBudgetTest, BudgetsThatAreNoneBreakTheProtocol) {
  ASSERT_TRUE(netd.mediator().send(0, flow::Limits{.budget = flow::kMaxBudgets}));
  EXPECT_EQ(netd.wait_for_end(), 1);
}

TEST_F(NetdBudgetTest, AVerdictOnABudgetThatIsNoneBreaksTheProtocol) {
  const Fd host = open_charged(flow::kMaxBudgets);
  EXPECT_EQ(netd.wait_for_end(), 1);
}

TEST_F(NetdBudgetTest, OtherProtocolsAreTold) {
  constexpr std::uint8_t kGre = 47;
  send(netstack::testing::ip_frame({.source = kGuest, .destination = kServer, .protocol = kGre}, Bytes(40, 0)));
  const auto dropped = next<flow::Dropped>();
  ASSERT_TRUE(dropped);
  EXPECT_EQ(dropped->ip_protocol, kGre);
  EXPECT_EQ(dropped->packets, 1U);
}

}  // namespace
}  // namespace microagent::netd
