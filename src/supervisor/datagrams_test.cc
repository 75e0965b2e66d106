#include "supervisor/datagrams.h"

#include <gtest/gtest.h>
#include <poll.h>
#include <sys/socket.h>

#include <algorithm>
#include <array>

#include "supervisor/ports.h"

namespace microagent::supervisor {
namespace {

using workspace::Transport;

// Somebody on this host who talks to a published port.
class Peer {
 public:
  explicit Peer(const SocketAddress& to) : socket_(::socket(to.family(), SOCK_DGRAM | SOCK_NONBLOCK, 0)) {
    EXPECT_EQ(::connect(socket_.get(), to.get(), to.size), 0);
  }
  void say(std::string_view text) const {
    EXPECT_EQ(::send(socket_.get(), text.data(), text.size(), 0), static_cast<ssize_t>(text.size()));
  }
  std::string hear() const {
    pollfd wanted{socket_.get(), POLLIN, 0};
    std::array<char, 100> text{};
    if (::poll(&wanted, 1, 5000) != 1) return "(nothing)";
    const ssize_t size = ::recv(socket_.get(), text.data(), text.size(), 0);
    return {text.data(), static_cast<std::size_t>(std::max<ssize_t>(size, 0))};
  }

 private:
  Fd socket_;
};

std::string text_of(const Datagram& datagram) { return {datagram.payload.begin(), datagram.payload.end()}; }

class Datagrams : public testing::TestWithParam<const char*> {
 protected:
  void SetUp() override {
    auto ports = bind_ports({{Transport::udp, GetParam(), 0, 53}});
    if (!ports) GTEST_SKIP() << ports.error().message;
    port_ = std::move(ports->front());
    const bool v6 = std::string_view(GetParam()).find(':') != std::string_view::npos;
    address_ = *parse_socket_address(v6 ? "::1" : "127.0.0.1", port_.forward.host_port);
  }
  int published() const { return port_.socket.get(); }

  BoundPort port_;
  SocketAddress address_;
};

TEST_P(Datagrams, GiveEachPeerASocketOfItsOwn) {
  const Peer alice(address_), bob(address_);
  alice.say("from alice");
  bob.say("from bob");
  std::vector<Datagram> strays;
  const auto first = receive_datagram(published());
  ASSERT_TRUE(first);
  EXPECT_EQ(text_of(*first), "from alice");
  const auto alices = make_conversation_socket(published(), *first, strays);
  ASSERT_TRUE(alices) << alices.error().message;
  const auto second = receive_datagram(published());
  ASSERT_TRUE(second);
  EXPECT_NE(first->conversation(), second->conversation());
  const auto bobs = make_conversation_socket(published(), *second, strays);
  ASSERT_TRUE(bobs) << bobs.error().message;
  EXPECT_TRUE(strays.empty());

  ASSERT_EQ(::send(alices->get(), "to alice", 8, 0), 8);
  ASSERT_EQ(::send(bobs->get(), "to bob", 6, 0), 6);
  EXPECT_EQ(alice.hear(), "to alice");
  EXPECT_EQ(bob.hear(), "to bob");

  alice.say("again");
  const auto more = receive_datagram(alices->get());
  ASSERT_TRUE(more);
  EXPECT_EQ(text_of(*more), "again");
  EXPECT_FALSE(receive_datagram(published()));
  EXPECT_FALSE(receive_datagram(bobs->get()));
}

TEST_P(Datagrams, KeepThePortExclusiveBetweenConversations) {
  const Peer alice(address_);
  alice.say("hello");
  std::vector<Datagram> strays;
  const auto first = receive_datagram(published());
  ASSERT_TRUE(first);
  const auto conversation = make_conversation_socket(published(), *first, strays);
  ASSERT_TRUE(conversation);
  const Fd intruder(::socket(address_.family(), SOCK_DGRAM, 0));
  const int on = 1;
  ASSERT_EQ(::setsockopt(intruder.get(), SOL_SOCKET, SO_REUSEADDR, &on, sizeof on), 0);
  EXPECT_NE(::bind(intruder.get(), address_.get(), address_.size), 0);
}

INSTANTIATE_TEST_SUITE_P(Addresses, Datagrams, testing::Values("127.0.0.1", "0.0.0.0", "::1", "::"));

}  // namespace
}  // namespace microagent::supervisor
