#include "netd/outbox.h"

#include <gtest/gtest.h>

namespace microagent::netd {
namespace {

class OutboxTest : public ::testing::Test {
 protected:
  OutboxTest() {
    auto ends = flow::Channel::make_pair();
    near.emplace(std::move(ends->first));
    far.emplace(std::move(ends->second));
    outbox.emplace(*near);
  }

  // Opens flows 1, 2, ... until one must be refused; how many were accepted.
  flow::FlowId open_until_refused() {
    flow::FlowId flow = 1;
    while (flow < 1'000'000 && outbox->open(flow, flow::Open{})) ++flow;
    return flow - 1;
  }

  std::optional<flow::Channel> near, far;
  std::optional<Outbox> outbox;
};

TEST_F(OutboxTest, APeerThatDoesNotReadGetsEverythingLaterInOrder) {
  const flow::FlowId accepted = open_until_refused();
  ASSERT_GT(accepted, Outbox::kMaxQueuedOpens);
  outbox->closed(accepted + 1, flow::Closed{});
  EXPECT_FALSE(outbox->broken());
  flow::Message message;
  flow::FlowId expected = 1;
  while (true) {
    outbox->drain();
    if (far->receive(message) != flow::Receive::message) break;
    EXPECT_EQ(message.header.flow, expected++);
  }
  EXPECT_EQ(expected, accepted + 2);
  EXPECT_TRUE(message.as<flow::Closed>() || expected == accepted + 2);
  EXPECT_TRUE(outbox->open(1, flow::Open{}));
}

TEST_F(OutboxTest, NewerNumbersTakeThePlaceOfQueuedOnes) {
  open_until_refused();
  for (std::uint64_t bytes = 1; bytes <= 1000; ++bytes) {
    outbox->number(flow::Usage{.budget = 1, .bytes_out = bytes});
    outbox->number(flow::Usage{.budget = 2, .bytes_in = bytes});
    outbox->number(flow::Dropped{.ip_protocol = 47, .packets = bytes});
  }
  std::vector<flow::Usage> usages;
  std::vector<flow::Dropped> drops;
  flow::Message message;
  while (true) {
    outbox->drain();
    if (far->receive(message) != flow::Receive::message) break;
    if (const auto usage = message.as<flow::Usage>()) usages.push_back(*usage);
    if (const auto dropped = message.as<flow::Dropped>()) drops.push_back(*dropped);
  }
  ASSERT_EQ(usages.size(), 2U);
  EXPECT_EQ(usages[0].bytes_out, 1000U);
  EXPECT_EQ(usages[1].bytes_in, 1000U);
  ASSERT_EQ(drops.size(), 1U);
  EXPECT_EQ(drops[0].packets, 1000U);
}

TEST_F(OutboxTest, APeerThatNeverReadsAgainCountsAsGone) {
  open_until_refused();
  for (std::size_t i = 0; i <= Outbox::kMaxQueued && !outbox->broken(); ++i) outbox->closed(1, flow::Closed{});
  EXPECT_TRUE(outbox->broken());
}

TEST_F(OutboxTest, APeerThatLeftIsGone) {
  far.reset();
  (void)outbox->open(1, flow::Open{});
  EXPECT_TRUE(outbox->broken());
}

}  // namespace
}  // namespace microagent::netd
