#include "flow/channel.h"

#include <fcntl.h>
#include <gtest/gtest.h>
#include <sys/socket.h>

#include <vector>

namespace microagent::flow {
namespace {

struct Pair {
  Pair() {
    auto ends = Channel::make_pair();
    a.emplace(std::move(ends->first));
    b.emplace(std::move(ends->second));
  }
  std::optional<Channel> a, b;
};

TEST(Channel, CarriesBodyTrailingAndDescriptor) {
  Pair pair;
  const std::vector<std::uint8_t> datagram{1, 2, 3};
  Fd null(::open("/dev/null", O_RDONLY | O_CLOEXEC));
  Dial dial;
  dial.guest_port = 53;
  dial.protocol = Protocol::udp;
  ASSERT_TRUE(pair.a->send(kDialledBit | 7, dial, null.get(), datagram));

  Message message;
  ASSERT_EQ(pair.b->receive(message), Receive::message);
  EXPECT_EQ(message.header.flow, kDialledBit | 7);
  ASSERT_TRUE(message.as<Dial>());
  EXPECT_EQ(message.as<Dial>()->guest_port, 53U);
  EXPECT_FALSE(message.as<Open>());
  EXPECT_TRUE(message.fd);
  EXPECT_EQ(std::vector<std::uint8_t>(message.trailing.begin(), message.trailing.end()), datagram);
  EXPECT_EQ(pair.b->receive(message), Receive::would_block);
}

TEST(Channel, ReportsEndOfPeer) {
  Pair pair;
  pair.a.reset();
  Message message;
  EXPECT_EQ(pair.b->receive(message), Receive::closed);
  EXPECT_FALSE(pair.b->send(1, Kill{}));
}

TEST(Channel, RefusesWhatDoesNotFit) {
  Pair pair;
  auto send_raw = [&](std::vector<std::uint8_t> bytes) {
    ASSERT_EQ(::send(pair.a->fd(), bytes.data(), bytes.size(), 0), static_cast<ssize_t>(bytes.size()));
  };
  auto encoded = [](Header header, std::size_t body) {
    std::vector<std::uint8_t> bytes(bytes_of(header).begin(), bytes_of(header).end());
    bytes.resize(bytes.size() + body);
    return bytes;
  };
  Message message;
  send_raw({1, 2, 3});
  EXPECT_EQ(pair.b->receive(message), Receive::broken);
  send_raw(encoded(Header{kVersion + 1, Type::kill, 0, 1}, sizeof(Kill)));
  EXPECT_EQ(pair.b->receive(message), Receive::broken);
  send_raw(encoded(Header{kVersion, static_cast<Type>(999), 0, 1}, 8));
  EXPECT_EQ(pair.b->receive(message), Receive::broken);
  send_raw(encoded(Header{kVersion, Type::kill, 0, 1}, sizeof(Kill) - 1));
  EXPECT_EQ(pair.b->receive(message), Receive::broken);
  send_raw(encoded(Header{kVersion, Type::kill, 0, 1}, sizeof(Kill) + 1));
  EXPECT_EQ(pair.b->receive(message), Receive::broken);
  send_raw(encoded(Header{kVersion, Type::kill, 4'000'000'000U, 1}, sizeof(Kill)));
  EXPECT_EQ(pair.b->receive(message), Receive::broken);
  send_raw(encoded(Header{kVersion, Type::kill, 0, 1}, sizeof(Kill)));
  EXPECT_EQ(pair.b->receive(message), Receive::message);
}

TEST(Channel, SaysWhenThePeerDoesNotRead) {
  Pair pair;
  Status status;
  for (int i = 0; i < 100'000 && status; ++i) status = pair.a->send(1, Kill{});
  ASSERT_FALSE(status);
  EXPECT_TRUE(status.error().retryable());
}

}  // namespace
}  // namespace microagent::flow
