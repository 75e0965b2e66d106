#include "netd/backlog.h"

#include <gtest/gtest.h>
#include <sys/socket.h>

#include <array>
#include <string>

#include "base/fd.h"

namespace microagent::netd {
namespace {

constexpr std::size_t kCapacity = 1 << 20;

std::array<iovec, 2> pieces_of(std::string& text) {
  const std::size_t half = text.size() / 2;
  return {iovec{text.data(), half}, iovec{text.data() + half, text.size() - half}};
}

TEST(MessageBacklog, SendsMessagesWholeAndInOrder) {
  std::array<int, 2> ends{};
  ASSERT_EQ(::socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, ends.data()), 0);
  const Fd ours(ends[0]);
  const Fd theirs(ends[1]);
  MessageBacklog backlog(100);
  std::array<char, 200> arrived{};
  for (std::size_t i = 0; i < 300; ++i) {
    std::string first(i % 37, 'a'), second(i % 41, 'b');
    backlog.append(pieces_of(first), first.size(), false);
    EXPECT_TRUE(backlog.empty()) << "it is not whole";
    EXPECT_EQ(backlog.drain(ours.get()), 0);
    backlog.append(pieces_of(second), second.size(), true);
    EXPECT_FALSE(backlog.empty());
    EXPECT_EQ(backlog.drain(ours.get()), static_cast<ssize_t>(first.size() + second.size()));
    const ssize_t count = ::recv(theirs.get(), arrived.data(), arrived.size(), MSG_DONTWAIT);
    ASSERT_EQ(std::string(arrived.data(), static_cast<std::size_t>(count)), first + second);
  }
}

TEST(MessageBacklog, KeepsMessagesThatTheSocketDoesNotTake) {
  std::array<int, 2> ends{};
  ASSERT_EQ(::socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, ends.data()), 0);
  const Fd ours(ends[0]);
  const Fd theirs(ends[1]);
  MessageBacklog backlog(kCapacity);
  std::string text(1000, 'x');
  std::size_t waiting = 0;
  for (; !backlog.full(); ++waiting) backlog.append(pieces_of(text), text.size(), true);
  EXPECT_EQ(waiting, MessageBacklog::kMaxMessages);
  std::size_t arrived = 0;
  while (!backlog.empty()) {
    ASSERT_GE(backlog.drain(ours.get()), 0);
    std::array<char, 2000> message{};
    while (::recv(theirs.get(), message.data(), message.size(), MSG_DONTWAIT) == 1000) ++arrived;
  }
  EXPECT_EQ(arrived, waiting);
  EXPECT_FALSE(backlog.full());
}

TEST(MessageBacklog, FailsWithItsSocket) {
  std::array<int, 2> ends{};
  ASSERT_EQ(::socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, ends.data()), 0);
  const Fd ours(ends[0]);
  ::close(ends[1]);
  MessageBacklog backlog(100);
  std::string text(10, 'x');
  backlog.append(pieces_of(text), text.size(), true);
  EXPECT_EQ(backlog.drain(ours.get()), -1);
}

TEST(Backlog, KeepsOrderThroughManyWraps) {
  std::array<int, 2> ends{};
  ASSERT_EQ(::socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, ends.data()), 0);
  const Fd ours(ends[0]);
  const Fd theirs(ends[1]);
  Backlog backlog(1000);
  std::string expected;
  std::string arrived(100'000, '\0');
  std::size_t read = 0;
  for (int i = 0; i < 100; ++i) {
    std::string text(static_cast<std::size_t>(i * 7 % 900), static_cast<char>('a' + i % 26));
    backlog.append(pieces_of(text), 0);
    expected += text;
    ASSERT_EQ(backlog.drain(ours.get()), static_cast<ssize_t>(text.size()));
    const ssize_t count = ::recv(theirs.get(), arrived.data() + read, arrived.size() - read, MSG_DONTWAIT);
    if (count > 0) read += static_cast<std::size_t>(count);
  }
  arrived.resize(read);
  EXPECT_EQ(arrived, expected);
}

TEST(Backlog, SkipsWhatWasSentAlready) {
  std::array<int, 2> ends{};
  ASSERT_EQ(::socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, ends.data()), 0);
  const Fd ours(ends[0]);
  const Fd theirs(ends[1]);
  for (std::size_t skip = 0; skip <= 6; ++skip) {
    Backlog backlog(64);
    std::string text = "abcdef";
    backlog.append(pieces_of(text), skip);
    EXPECT_EQ(backlog.size(), 6 - skip);
    ASSERT_EQ(backlog.drain(ours.get()), static_cast<ssize_t>(6 - skip));
    std::array<char, 8> bytes{};
    if (skip < 6) {
      EXPECT_EQ(::recv(theirs.get(), bytes.data(), bytes.size(), 0), static_cast<ssize_t>(6 - skip));
      EXPECT_EQ(bytes[0], "abcdef"[skip]);
    }
  }
}

TEST(Backlog, WaitsForASocketThatIsFullAndFailsWithOneThatIsGone) {
  std::array<int, 2> ends{};
  ASSERT_EQ(::socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, ends.data()), 0);
  const Fd ours(ends[0]);
  Fd theirs(ends[1]);
  Backlog backlog(kCapacity);
  std::string text(kCapacity, 'x');
  backlog.append(pieces_of(text), 0);
  EXPECT_GT(backlog.drain(ours.get()), 0);
  EXPECT_FALSE(backlog.empty());
  EXPECT_EQ(backlog.drain(ours.get()), 0);
  theirs.reset();
  EXPECT_EQ(backlog.drain(ours.get()), -1);
}

}  // namespace
}  // namespace microagent::netd
