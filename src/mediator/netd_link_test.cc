#include "mediator/netd_link.h"

#include "mediator/test_loop.h"

namespace microagent::mediator {
namespace {

class NetdLinkTest : public testing::Test {
 protected:
  NetdLinkTest() {
    auto ends = flow::Channel::make_pair();
    netd_.emplace(std::move(ends->first));
    link_ = std::move(*NetdLink::open(loop_.io.get_executor(), std::move(ends->second)));
    spawn(loop_.io.get_executor(), run());
  }

  asio::awaitable<void> run() {
    ended_ = co_await link_->receive([this](const flow::Message& message) {
      seen_.push_back(message.header.flow);
      return std::string(message.header.flow == 666 ? "the number of the beast" : "");
    });
  }

  TestLoop loop_;
  std::optional<flow::Channel> netd_;
  std::unique_ptr<NetdLink> link_;
  std::vector<flow::FlowId> seen_;
  std::string ended_;
};

TEST_F(NetdLinkTest, HandsMessagesOverInOrderUntilOneIsWrong) {
  for (const flow::FlowId flow : {1, 2, 666, 3}) ASSERT_TRUE(netd_->send(flow, flow::Open{}));
  ASSERT_TRUE(loop_.until([&] { return !ended_.empty(); }));
  EXPECT_EQ(ended_, "the number of the beast");
  EXPECT_EQ(seen_, (std::vector<flow::FlowId>{1, 2, 666}));
}

TEST_F(NetdLinkTest, EndsWithNetd) {
  netd_.reset();
  ASSERT_TRUE(loop_.until([&] { return !ended_.empty(); }));
  EXPECT_EQ(ended_, "netd is gone");
}

TEST_F(NetdLinkTest, EndsAtNonsense) {
  ASSERT_EQ(::send(netd_->fd(), "?", 1, 0), 1);
  ASSERT_TRUE(loop_.until([&] { return !ended_.empty(); }));
  EXPECT_EQ(ended_, "netd broke the verdict protocol");
}

TEST_F(NetdLinkTest, KeepsVerdictsInOrderWhileNetdDoesNotRead) {
  constexpr flow::FlowId kCount = 5000;
  for (flow::FlowId flow = 1; flow <= kCount; ++flow) link_->refuse(flow, flow::Refusal::reset);
  flow::FlowId next = 1;
  flow::Message message;
  ASSERT_TRUE(loop_.until([&] {
    while (netd_->receive(message) == flow::Receive::message) EXPECT_EQ(message.header.flow, next++);
    return next > kCount;
  }));
}

TEST_F(NetdLinkTest, ReadsNoFurtherQuestionsWhileVerdictsPileUp) {
  for (flow::FlowId flow = 1; flow <= 5000; ++flow) link_->refuse(flow, flow::Refusal::reset);
  ASSERT_TRUE(netd_->send(7, flow::Open{}));
  loop_.io.restart();
  loop_.io.run_for(std::chrono::milliseconds(20));
  EXPECT_TRUE(seen_.empty());
  flow::Message message;
  ASSERT_TRUE(loop_.until([&] {
    while (netd_->receive(message) == flow::Receive::message) continue;
    return !seen_.empty();
  }));
}

TEST_F(NetdLinkTest, GivesUpOnANetdThatNeverReads) {
  for (flow::FlowId flow = 1; flow <= 5 * kMaxFlows; ++flow) link_->refuse(flow, flow::Refusal::reset);
  ASSERT_TRUE(loop_.until([&] { return !ended_.empty(); }));
}

}  // namespace
}  // namespace microagent::mediator
