// Datagrams that are charged, and packets that are no flow.

#include <gtest/gtest.h>

#include "netstack/dropped.h"
#include "netstack/testing/datagram_fixture.h"

namespace microagent::netstack {
namespace {

using namespace testing;

class DatagramBudgetTest : public DatagramFixture {
 protected:
  void limit(const Budgets::Limit& limit) {
    ASSERT_TRUE(budgets.set(kWorkspaceBudget, limit, now));
    stack->on_budgets();
    stack->flush();
  }
  void open_charged() {
    send_udp("first");
    ASSERT_EQ(upcalls.opened.size(), 1U);
    stack->on_splice(upcalls.opened[0].flow, make_pair(SOCK_SEQPACKET, host), kWorkspaceBudget);
    stack->flush();
  }
  std::size_t heard() {
    std::size_t count = 0;
    for (auto one = heard_by(host); one && !one->empty(); one = heard_by(host)) ++count;  // until the end, or nothing
    return count;
  }
  Fd host;
};

TEST_F(DatagramBudgetTest, DatagramsBeyondTheGrantAreDroppedAndMoreIsAskedFor) {
  limit({.bytes = 205});
  open_charged();
  for (int i = 0; i < 5; ++i) send_udp(Bytes(100, 'x'));
  EXPECT_EQ(heard(), 3U);  // "first" and two
  EXPECT_EQ(stack->counters().dropped, 3U);
  const auto report = budgets.next_report(now);
  ASSERT_TRUE(report);
  EXPECT_EQ(report->out, 205U);
  limit({.bytes = 1000});
  send_udp(Bytes(100, 'x'));
  EXPECT_EQ(heard(), 1U);
  EXPECT_TRUE(upcalls.ends.empty());
}

TEST_F(DatagramBudgetTest, TheConversationEndsWhereTheLastByteIsSpent) {
  limit({.bytes = 105, .last = true});
  open_charged();
  send_batch({udp_frame(ends(), Bytes(100, 'x')), udp_frame(ends(), Bytes(100, 'x'))});
  EXPECT_EQ(heard(), 2U);
  ASSERT_EQ(upcalls.ends.size(), 1U);
  EXPECT_EQ(upcalls.ends[0].totals.end, End::capped);
  EXPECT_EQ(upcalls.ends[0].totals.bytes_out, 105U);
}

TEST_F(DatagramBudgetTest, TheHostsDatagramsWaitInItsSocketForTheNextGrant) {
  limit({.bytes = 105});
  open_charged();
  for (int i = 0; i < 4; ++i) ASSERT_TRUE(send_to(host, Bytes(100, 'y')));
  descriptor_events(EPOLLIN);
  EXPECT_EQ(received().size(), 1U);
  EXPECT_EQ(stack->counters().dropped, 1U);  // the one that found out
  limit({.bytes = 10'000});
  EXPECT_EQ(received().size(), 2U);
}

TEST_F(DatagramBudgetTest, TheHostsSpentBudgetEndsTheConversation) {
  limit({.bytes = 105, .last = true});
  open_charged();
  for (int i = 0; i < 4; ++i) ASSERT_TRUE(send_to(host, Bytes(100, 'y')));
  descriptor_events(EPOLLIN);
  EXPECT_EQ(received().size(), 1U);
  ASSERT_EQ(upcalls.ends.size(), 1U);
  EXPECT_EQ(upcalls.ends[0].totals.end, End::capped);
  EXPECT_EQ(upcalls.ends[0].totals.bytes_in, 100U);
}

TEST_F(DatagramBudgetTest, TheRateOpensAgainByItself) {
  limit({.bytes_per_second = 10'000});
  open_charged();
  ASSERT_TRUE(send_to(host, Bytes(60'000, 'y')));  // a long one goes into debt
  descriptor_events(EPOLLIN);
  received();
  for (int i = 0; i < 3; ++i) ASSERT_TRUE(send_to(host, Bytes(100, 'y')));
  descriptor_events(EPOLLIN);
  EXPECT_EQ(received().size(), 0U);
  run_for(10 * kSecond);
  EXPECT_EQ(received().size(), 2U);  // the first one found out
}

// What a socket does not take is given back.
TEST_F(DatagramBudgetTest, LostDatagramsAreNotCharged) {
  limit({.bytes = 100'000'000, .last = true});
  open_charged();
  for (int i = 0; i < 2000; ++i) send_udp(Bytes(1400, 'x'));
  const std::size_t arrived = heard();
  ASSERT_LT(arrived, 2001U);
  const auto report = budgets.next_report(now + kSecond);
  ASSERT_TRUE(report);
  EXPECT_EQ(report->out, (arrived - 1) * 1400 + 5);
}

TEST_F(DatagramBudgetTest, OtherProtocolsAreCountedAndTold) {
  constexpr std::uint8_t kSctp = 132, kGre = 47;
  const auto packet = [](std::uint8_t protocol, const wire::IpAddress& to) {
    return ip_frame({.source = kGuest, .destination = to, .protocol = protocol}, Bytes(40, 0));
  };
  for (int i = 0; i < 3; ++i) send(packet(kSctp, kServer));
  send(packet(kGre, kServer));
  const auto first = stack->next_dropped(), second = stack->next_dropped();
  ASSERT_TRUE(first && second);
  EXPECT_EQ(first->protocol, kSctp);
  EXPECT_EQ(first->packets, 3U);
  EXPECT_EQ(second->protocol, kGre);
  EXPECT_EQ(second->packets, 1U);
  EXPECT_FALSE(stack->next_dropped());
  send(packet(kSctp, kServer));
  EXPECT_FALSE(stack->next_dropped());
  EXPECT_EQ(stack->next_deadline(), now + DroppedPackets::kReportInterval);
  advance(DroppedPackets::kReportInterval);
  const auto third = stack->next_dropped();
  ASSERT_TRUE(third);
  EXPECT_EQ(third->packets, 4U);
}

TEST_F(DatagramBudgetTest, WhatNoRouterTakesOffTheLinkIsNotTold) {
  const auto send_to_group = [&](std::array<std::uint8_t, 4> group, std::uint8_t protocol) {
    send(ip_frame({.source = kGuest, .destination = wire::IpAddress::ipv4(group), .protocol = protocol}, Bytes(40, 0)));
  };
  send_to_group({224, 0, 0, 22}, 2);
  send_to_group({255, 255, 255, 255}, 17);
  EXPECT_FALSE(stack->next_dropped());
  send_to_group({239, 1, 2, 3}, 17);
  ASSERT_TRUE(stack->next_dropped());
}

}  // namespace
}  // namespace microagent::netstack
