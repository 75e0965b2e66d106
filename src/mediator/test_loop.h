#pragma once

// An event loop and loopback peers for the tests of this folder. Everything runs on the test's own thread: a test lets
// the loop run until what it waits for has happened.

#include <arpa/inet.h>
#include <gtest/gtest.h>
#include <poll.h>
#include <sys/socket.h>
#include <unistd.h>

#include <array>
#include <boost/asio/io_context.hpp>
#include <functional>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "mediator/io.h"
#include "policy/address.h"

namespace microagent::mediator {

using Bytes = std::vector<std::uint8_t>;

inline Bytes bytes(std::string_view text) { return Bytes(text.begin(), text.end()); }

class TestLoop {
 public:
  asio::io_context io{1};

  // Lets the loop run until `done`; false after five seconds.
  bool until(const std::function<bool()>& done) {
    const Deadline deadline = in(std::chrono::seconds(5));
    while (!done()) {
      if (std::chrono::steady_clock::now() >= deadline) return false;
      io.restart();
      io.run_one_for(std::chrono::milliseconds(5));
    }
    return true;
  }

  template <typename T>
  T result_of(asio::awaitable<T> coroutine) {
    std::optional<T> result;
    spawn(io.get_executor(), store(std::move(coroutine), result));
    EXPECT_TRUE(until([&] { return result.has_value(); }));
    return std::move(*result);
  }

 private:
  template <typename T>
  static asio::awaitable<void> store(asio::awaitable<T> coroutine, std::optional<T>& result) {
    result.emplace(co_await std::move(coroutine));
  }
};

inline std::pair<Fd, Fd> socket_pair(int type) {
  std::array<int, 2> ends{};
  EXPECT_EQ(::socketpair(AF_UNIX, type | SOCK_CLOEXEC | SOCK_NONBLOCK, 0, ends.data()), 0);
  return {Fd(ends[0]), Fd(ends[1])};
}

// What has arrived, without waiting; nothing when nothing has. An empty result is the end of a stream.
inline std::optional<Bytes> arrived(const Fd& fd) {
  Bytes buffer(65'536);
  const ssize_t size = ::recv(fd.get(), buffer.data(), buffer.size(), MSG_DONTWAIT);
  if (size < 0) return std::nullopt;
  buffer.resize(static_cast<std::size_t>(size));
  return buffer;
}

inline void put(const Fd& fd, const Bytes& data) {
  EXPECT_EQ(::send(fd.get(), data.data(), data.size(), MSG_NOSIGNAL), static_cast<ssize_t>(data.size()));
}

inline const policy::Address kLoopback = policy::Address::ipv4({127, 0, 0, 1});

// A nonblocking socket bound to a free port of 127.0.0.1; listening, if it is a stream and `listens`.
class LoopbackSocket {
 public:
  explicit LoopbackSocket(int type, std::uint16_t port = 0, bool listens = true)
      : fd_(::socket(AF_INET, type | SOCK_CLOEXEC | SOCK_NONBLOCK, 0)) {
    sockaddr_in address{};
    address.sin_family = AF_INET;
    address.sin_port = htons(port);
    address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    EXPECT_EQ(::bind(fd_.get(), reinterpret_cast<sockaddr*>(&address), sizeof address), 0);
    if (type == SOCK_STREAM && listens) EXPECT_EQ(::listen(fd_.get(), 16), 0);
    socklen_t size = sizeof address;
    EXPECT_EQ(::getsockname(fd_.get(), reinterpret_cast<sockaddr*>(&address), &size), 0);
    port_ = ntohs(address.sin_port);
  }

  // For datagrams, at a port that is free for a stream, too.
  static LoopbackSocket datagrams_and_stream() {
    for (;;) {
      LoopbackSocket datagrams(SOCK_DGRAM);
      const Fd stream(::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0));
      sockaddr_in address{};
      address.sin_family = AF_INET;
      address.sin_port = htons(datagrams.port());
      address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
      if (::bind(stream.get(), reinterpret_cast<sockaddr*>(&address), sizeof address) == 0) return datagrams;
    }
  }

  const Fd& fd() const { return fd_; }
  std::uint16_t port() const { return port_; }

  Fd accept() const { return Fd(::accept4(fd_.get(), nullptr, nullptr, SOCK_CLOEXEC | SOCK_NONBLOCK)); }

  // A datagram and who sent it; nothing when none waits.
  std::optional<std::pair<Bytes, sockaddr_in>> datagram() const {
    Bytes buffer(65'536);
    sockaddr_in from{};
    socklen_t size = sizeof from;
    const ssize_t count =
        ::recvfrom(fd_.get(), buffer.data(), buffer.size(), MSG_DONTWAIT, reinterpret_cast<sockaddr*>(&from), &size);
    if (count < 0) return std::nullopt;
    buffer.resize(static_cast<std::size_t>(count));
    return std::pair{std::move(buffer), from};
  }
  void send_to(const sockaddr_in& to, const Bytes& data) const {
    EXPECT_EQ(::sendto(fd_.get(), data.data(), data.size(), 0, reinterpret_cast<const sockaddr*>(&to), sizeof to),
              static_cast<ssize_t>(data.size()));
  }

 private:
  Fd fd_;
  std::uint16_t port_ = 0;
};

}  // namespace microagent::mediator
