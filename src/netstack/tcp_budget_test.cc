// Connections whose bytes are charged: ceilings, rates, grants, and who is told.

#include "netstack/testing/tcp_fixture.h"

namespace microagent::netstack {
namespace {

using namespace testing;

constexpr BudgetId kOwn = 2;

Bytes pattern(std::size_t bytes, std::uint8_t seed = 1) {
  Bytes out(bytes);
  for (std::size_t i = 0; i < bytes; ++i) out[i] = static_cast<std::uint8_t>(i * 31 + seed);
  return out;
}

class TcpBudgetTest : public TcpFixture {
 protected:
  TcpBudgetTest() { budget = kWorkspaceBudget; }

  void limit(BudgetId id, const Budgets::Limit& limit) { ASSERT_TRUE(budgets.set(id, limit, environment.now_ns)); }
  // As the stack does when the budgets were set anew or time has passed.
  void look_at_budgets() {
    if (budgets.reopened(environment.now_ns)) flows->on_budget();
    flush();
  }
  std::uint64_t told_bytes() {
    std::uint64_t all = 0;
    while (const auto report = budgets.next_report(environment.now_ns)) all = report->out + report->in;
    return all;
  }
};

TEST_F(TcpBudgetTest, TheGuestIsResetWhereItsLastByteIsSpent) {
  limit(kWorkspaceBudget, {.bytes = 1000, .last = true});
  establish();
  guest_says(pattern(600));
  EXPECT_EQ(host_hears(600), pattern(600));
  seen();
  guest_says(pattern(600, 2));
  EXPECT_TRUE(last().has(kRst));
  const FlowTotals totals = only_totals();
  EXPECT_EQ(totals.end, End::capped);
  EXPECT_EQ(totals.bytes_out, 1000U);
  EXPECT_EQ(told_bytes(), 1000U);
  EXPECT_EQ(counters.flows, 0U);
}

TEST_F(TcpBudgetTest, TheHostIsCutOffWhereTheLastByteIsSpent) {
  limit(kWorkspaceBudget, {.bytes = 1000, .last = true});
  establish();
  host_says(pattern(5000));
  std::size_t heard = 0;
  bool reset = false;
  for (const Segment& segment : seen()) {
    heard += segment.data.size();
    reset |= segment.has(kRst);
  }
  EXPECT_EQ(heard, 1000U);
  EXPECT_TRUE(reset);
  EXPECT_EQ(only_end(), End::capped);
  EXPECT_TRUE(host_sees_reset());
}

// Nothing more is asked for, so nothing stands in the way of the ends.
TEST_F(TcpBudgetTest, WhatFitsExactlyEndsInOrder) {
  limit(kWorkspaceBudget, {.bytes = 1500, .last = true});
  establish();
  guest_says(pattern(1000));
  EXPECT_EQ(host_hears(1000), pattern(1000));
  host_says(pattern(500));
  EXPECT_EQ(guest_hears(), pattern(500));
  guest_ends();
  EXPECT_TRUE(host_sees_end());
  host_ends();
  guest_hears();
  EXPECT_EQ(only_end(), End::finished);
}

TEST_F(TcpBudgetTest, BothSidesStandStillUntilMoreIsGranted) {
  limit(kWorkspaceBudget, {.bytes = 1000});
  establish();
  guest_says(pattern(1200));
  const Bytes said = pattern(1200);
  EXPECT_EQ(host_hears(1000), Bytes(said.begin(), said.begin() + 1000));
  EXPECT_EQ(last().ack, 1001U);  // what the host did not get is not acknowledged
  host_says(pattern(300, 9));
  expect_silence();
  EXPECT_TRUE(upcalls.ends.empty());
  EXPECT_EQ(told_bytes(), 1000U);
  limit(kWorkspaceBudget, {.bytes = 1400});
  look_at_budgets();
  EXPECT_EQ(host_drains(), Bytes(said.begin() + 1000, said.end()));
  std::size_t heard = 0;
  for (const Segment& segment : seen()) heard += segment.data.size();
  EXPECT_EQ(heard, 200U);
  limit(kWorkspaceBudget, {.bytes = 5000});
  look_at_budgets();
  for (const Segment& segment : seen()) heard += segment.data.size();
  EXPECT_EQ(heard, 300U);
  EXPECT_TRUE(upcalls.ends.empty());
}

TEST_F(TcpBudgetTest, AWaitingConnectionEndsWhenTheGrantWasTheLast) {
  limit(kWorkspaceBudget, {.bytes = 1000});
  establish();
  guest_says(pattern(1200));
  seen();
  limit(kWorkspaceBudget, {.bytes = 1000, .last = true});
  look_at_budgets();
  EXPECT_TRUE(only().has(kRst));
  EXPECT_EQ(only_end(), End::capped);
}

TEST_F(TcpBudgetTest, TheRateIsKept) {
  constexpr std::uint64_t kRate = 100'000;
  limit(kWorkspaceBudget, {.bytes_per_second = kRate});
  establish();
  const Bytes all = pattern(200'000);
  std::size_t written = 0, heard = 0;
  const std::uint64_t end = environment.now_ns + kSec;
  while (environment.now_ns < end) {
    written += host_writes(ByteView(all).subspan(written));
    events();
    look_at_budgets();
    heard += guest_hears().size();
    const auto next = budgets.reopens_at();
    ASSERT_TRUE(next);
    ASSERT_GT(*next, environment.now_ns);
    advance(*next - environment.now_ns);
  }
  EXPECT_GE(heard, kRate * 8 / 10);
  EXPECT_LE(heard, kRate + Budgets::kMinBurst + kMss);
}

TEST_F(TcpBudgetTest, WhatIsSentAgainIsNotChargedAgain) {
  limit(kWorkspaceBudget, {.bytes = 3000, .last = true});
  establish();
  host_says(pattern(2000));
  seen();  // lost
  run_for(2 * kSec);
  EXPECT_EQ(last().seq, 1U);  // again
  guest_acks(1 + kMss);
  EXPECT_EQ(last().data.size(), 2000U - kMss);
  guest_acks(guest_heard = 2001);
  EXPECT_EQ(told_bytes(), 2000U);
  host_says(pattern(1000, 3));
  EXPECT_EQ(guest_hears(), pattern(1000, 3));
  EXPECT_TRUE(upcalls.ends.empty());
}

TEST_F(TcpBudgetTest, FirstBytesAreChargedWhenTheyGoToTheHost) {
  limit(kWorkspaceBudget, {.bytes = 10, .last = true});
  const FlowId flow = establish_peeked(16'384);
  guest_says("GET / HTTP/1.1");
  EXPECT_EQ(told_bytes(), 0U);
  seen();
  splice(flow, make_tcp_pair());
  EXPECT_EQ(only_end(), End::capped);
  EXPECT_EQ(told_bytes(), 10U);
}

TEST_F(TcpBudgetTest, AnOwnCeilingLeavesOthersAlone) {
  limit(kOwn, {.bytes = 100, .last = true});
  budget = kOwn;
  establish();
  guest_says(pattern(200));
  EXPECT_EQ(only_end(), End::capped);
  seen();
  next_port();
  guest_next = guest_heard = 1;
  upcalls.ends.clear();
  budget = kWorkspaceBudget;
  establish();
  guest_says(pattern(200));
  EXPECT_EQ(host_hears(200), pattern(200));
  EXPECT_TRUE(upcalls.ends.empty());
}

TEST_F(TcpBudgetTest, OurOwnServicesAreNotCharged) {
  limit(kWorkspaceBudget, {.bytes = 0, .last = true});
  budget = kNoBudget;
  establish();
  guest_says(pattern(200));
  EXPECT_EQ(host_hears(200), pattern(200));
  host_says(pattern(300));
  EXPECT_EQ(guest_hears(), pattern(300));
  EXPECT_EQ(told_bytes(), 0U);
}

// What the descriptor does not take is not charged yet.
TEST_F(TcpBudgetTest, AFullHostIsChargedForWhatItTook) {
  limit(kWorkspaceBudget, {.bytes = 1'000'000'000, .last = true});
  establish_unix();
  for (int i = 0; i < 2000 && upcalls.ends.empty(); ++i) guest_says(pattern(kMss));
  const std::uint64_t in_host = host_drains().size();
  advance(2 * kSec);
  EXPECT_GE(told_bytes(), in_host);
  flows->kill(upcalls.opened.back().flow);
  const FlowTotals totals = only_totals();
  advance(2 * kSec);
  const std::uint64_t told = told_bytes();
  if (told != 0) EXPECT_EQ(told, totals.bytes_out);
}

}  // namespace
}  // namespace microagent::netstack
