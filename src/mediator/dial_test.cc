#include "mediator/dial.h"

#include <netinet/tcp.h>

#include "mediator/test_loop.h"

namespace microagent::mediator {
namespace {

using flow::Protocol;
using flow::Refusal;

class DialTest : public testing::Test {
 protected:
  tl::expected<Fd, DialError> dialled(const Target& target, std::chrono::milliseconds timeout = kDialTimeout) {
    return loop_.result_of(dial(target, in(timeout)));
  }

  TestLoop loop_;
};

TEST_F(DialTest, ConnectsTcpWithoutDelay) {
  const LoopbackSocket server(SOCK_STREAM);
  const auto client = dialled({Protocol::tcp, kLoopback, server.port()});
  ASSERT_TRUE(client);
  int no_delay = 0;
  socklen_t size = sizeof no_delay;
  ASSERT_EQ(::getsockopt(client->get(), IPPROTO_TCP, TCP_NODELAY, &no_delay, &size), 0);
  EXPECT_NE(no_delay, 0);
  const Fd accepted = server.accept();
  ASSERT_TRUE(accepted);
  put(*client, bytes("hello"));
  ASSERT_TRUE(loop_.until([&] { return arrived(accepted) == bytes("hello"); }));
}

TEST_F(DialTest, SaysResetOfAClosedPort) {
  const LoopbackSocket closed(SOCK_STREAM, 0, false);
  const auto client = dialled({Protocol::tcp, kLoopback, closed.port()});
  ASSERT_FALSE(client);
  EXPECT_EQ(client.error().refusal, Refusal::reset);
  EXPECT_EQ(client.error().text, "Connection refused");
}

// A listener whose queue is full leaves further SYNs unanswered.
TEST_F(DialTest, GivesUpAtItsDeadline) {
  const LoopbackSocket server(SOCK_STREAM);
  ASSERT_EQ(::listen(server.fd().get(), 0), 0);
  const auto first = dialled({Protocol::tcp, kLoopback, server.port()});
  ASSERT_TRUE(first);
  const auto second = dialled({Protocol::tcp, kLoopback, server.port()}, std::chrono::milliseconds(50));
  ASSERT_FALSE(second);
  EXPECT_EQ(second.error().refusal, Refusal::host_unreachable);
}

TEST_F(DialTest, RefusesToReachAnotherAddressThanWasJudged) {
  const LoopbackSocket server(SOCK_STREAM);
  const auto client = dialled({Protocol::tcp, policy::Address::ipv4({0, 0, 0, 0}), server.port()});
  ASSERT_FALSE(client);
  EXPECT_EQ(client.error().refusal, Refusal::admin_prohibited);
}

TEST_F(DialTest, ConnectsUdp) {
  const LoopbackSocket server(SOCK_DGRAM);
  const auto client = dialled({Protocol::udp, kLoopback, server.port()});
  ASSERT_TRUE(client);
  put(*client, bytes("ping"));
  const auto received = server.datagram();
  ASSERT_TRUE(received);
  server.send_to(received->second, bytes("pong"));
  EXPECT_EQ(arrived(*client), bytes("pong"));
}

TEST_F(DialTest, MakesAPingSocketWhereTheHostGrantsThem) {
  const bool granted = static_cast<bool>(Fd(::socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, IPPROTO_ICMP)));
  const auto client = dialled({Protocol::icmp_echo, kLoopback});
  EXPECT_EQ(client.has_value(), granted);
  if (client) return;
  EXPECT_EQ(client.error().refusal, Refusal::admin_prohibited);
  EXPECT_NE(client.error().text.find("net.ipv4.ping_group_range"), std::string::npos);
}

}  // namespace
}  // namespace microagent::mediator
