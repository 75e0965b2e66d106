// The host socket is the retransmission buffer (architecture.md): data is peeked at an offset, and consumed once the
// guest has acknowledged it.

#include <linux/sockios.h>
#include <sys/epoll.h>
#include <sys/ioctl.h>

#include <cerrno>

#include "tcp_pair.h"

namespace microagent::platform {
namespace {

bool peek_at(const Fd& socket, int offset) {
  return ::setsockopt(socket.get(), SOL_SOCKET, SO_PEEK_OFF, &offset, sizeof offset) == 0;
}

#define SKIP_WITHOUT_PEEK_OFF(socket) \
  if (!peek_at(socket, 0)) GTEST_SKIP() << "SO_PEEK_OFF on TCP came with Linux 6.9; netd peeks from the front here"

TEST(TcpPeek, AdvancesAnOffsetByItself) {
  const TcpPair pair;
  SKIP_WITHOUT_PEEK_OFF(pair.near);
  pair.say("abcdef");
  EXPECT_EQ(receive(pair.near, 2, MSG_PEEK), "ab");
  EXPECT_EQ(receive(pair.near, 2, MSG_PEEK), "cd");
  EXPECT_EQ(receive(pair.near, 100, MSG_PEEK), "ef");
  EXPECT_EQ(receive(pair.near, 100, MSG_PEEK), "") << "behind the end there is nothing yet";
}

TEST(TcpPeek, CanGoBackForARetransmission) {
  const TcpPair pair;
  SKIP_WITHOUT_PEEK_OFF(pair.near);
  pair.say("abcdef");
  EXPECT_EQ(receive(pair.near, 6, MSG_PEEK), "abcdef");
  ASSERT_TRUE(peek_at(pair.near, 3));
  EXPECT_EQ(receive(pair.near, 6, MSG_PEEK), "def");
}

TEST(TcpPeek, OffsetsCountFromTheFrontThatConsumingMoves) {
  const TcpPair pair;
  SKIP_WITHOUT_PEEK_OFF(pair.near);
  pair.say("abcdef");
  EXPECT_EQ(receive(pair.near, 4, MSG_PEEK), "abcd");
  EXPECT_EQ(::recv(pair.near.get(), nullptr, 2, MSG_TRUNC | MSG_DONTWAIT), 2);
  EXPECT_EQ(receive(pair.near, 100, MSG_PEEK), "ef") << "the offset moved back by what was consumed";
}

TEST(TcpPeek, TruncatingConsumesWithoutCopying) {
  const TcpPair pair;
  pair.say("abcdef");
  EXPECT_EQ(::recv(pair.near.get(), nullptr, 4, MSG_TRUNC | MSG_DONTWAIT), 4);
  EXPECT_EQ(receive(pair.near, 100, 0), "ef");
}

TEST(TcpPeek, TruncatingBeyondTheEndConsumesWhatThereIs) {
  const TcpPair pair;
  pair.say("abc");
  EXPECT_EQ(::recv(pair.near.get(), nullptr, 100, MSG_TRUNC | MSG_DONTWAIT), 3);
  EXPECT_EQ(::recv(pair.near.get(), nullptr, 100, MSG_TRUNC | MSG_DONTWAIT), -1);
  EXPECT_EQ(errno, EAGAIN);
}

TEST(TcpPeek, SeesTheEndBehindUnconsumedData) {
  const TcpPair pair;
  pair.say("abc");
  ASSERT_EQ(::shutdown(pair.far.get(), SHUT_WR), 0);
  pollfd polled{pair.near.get(), POLLRDHUP, 0};
  ASSERT_EQ(::poll(&polled, 1, 1000), 1);
  EXPECT_NE(polled.revents & POLLRDHUP, 0) << "the end shows while data waits";
  EXPECT_EQ(receive(pair.near, 100, MSG_PEEK), "abc");
}

TEST(TcpPeek, AnEdgeComesForEachArrivalThoughNothingIsConsumed) {
  const TcpPair pair;
  const Fd poller(::epoll_create1(EPOLL_CLOEXEC));
  epoll_event event{EPOLLIN | EPOLLOUT | EPOLLRDHUP | EPOLLET, {}};
  ASSERT_EQ(::epoll_ctl(poller.get(), EPOLL_CTL_ADD, pair.near.get(), &event), 0);
  pair.say("abc");
  epoll_event seen{};
  ASSERT_EQ(::epoll_wait(poller.get(), &seen, 1, 1000), 1);
  EXPECT_EQ(receive(pair.near, 100, MSG_PEEK), "abc");
  EXPECT_EQ(::epoll_wait(poller.get(), &seen, 1, 0), 0) << "no edge without an arrival";
  pair.say("def");
  ASSERT_EQ(::epoll_wait(poller.get(), &seen, 1, 1000), 1);
  EXPECT_NE(seen.events & EPOLLIN, 0u);
}

TEST(TcpPeek, WhatTheReceiverHasNotTakenIsCounted) {
  const TcpPair pair;
  int before = -1, size = 0;
  ASSERT_EQ(::ioctl(pair.far.get(), SIOCOUTQ, &before), 0);
  EXPECT_EQ(before, 0);
  // More than any receive buffer takes; the rest stays in the sender's queue.
  const std::string chunk(1 << 20, 'x');
  while (::send(pair.far.get(), chunk.data(), chunk.size(), MSG_DONTWAIT | MSG_NOSIGNAL) > 0) {
  }
  ASSERT_EQ(::ioctl(pair.far.get(), SIOCOUTQ, &size), 0);
  EXPECT_GT(size, 0);
}

}  // namespace
}  // namespace microagent::platform
