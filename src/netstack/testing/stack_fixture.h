#pragma once

#include <gtest/gtest.h>
#include <sys/epoll.h>
#include <sys/socket.h>

#include <array>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "netstack/stack.h"
#include "netstack/testing/fake_upcalls.h"
#include "netstack/testing/fake_wire.h"
#include "netstack/testing/test_environment.h"

namespace microagent::netstack::testing {

inline constexpr std::uint64_t kMillisecond = 1'000'000;
inline constexpr std::uint64_t kSecond = 1'000'000'000;

// A whole stack on a fake wire with a fake clock: "send this frame, expect that one, advance the clock".
class StackFixture : public ::testing::Test {
 protected:
  StackFixture() { restart(); }

  // A new stack, after a test has changed `config`.
  void restart() {
    upcalls.watched.clear();
    stack = std::make_unique<Stack>(config, wire, upcalls, budgets);
    stack->on_time(now);
  }

  // One frame of the guest, cut in pieces of `piece_bytes`, and the end of its batch. The frame's memory lives exactly
  // as long as the stack may use it.
  void send(const Bytes& frame, const Offload& offload = {}) { send_batch({frame}, offload); }
  void send_batch(const std::vector<Bytes>& frames, const Offload& offload = {}) {
    std::vector<std::unique_ptr<Bytes>> memory;
    for (const Bytes& frame : frames) {
      Bytes& bytes = *memory.emplace_back(std::make_unique<Bytes>(frame));
      std::vector<iovec> pieces;
      const std::size_t step = piece_bytes == 0 ? bytes.size() : piece_bytes;
      for (std::size_t at = 0; at < bytes.size(); at += step) {
        pieces.push_back(iovec{bytes.data() + at, std::min(step, bytes.size() - at)});
      }
      stack->on_frame(pieces, bytes.size(), offload);
    }
    stack->flush();
  }

  void advance(std::uint64_t ns) {
    now += ns;
    stack->on_time(now);
    stack->flush();
  }
  // Advances from deadline to deadline, as the loop would, at most `ns`.
  void run_for(std::uint64_t ns) {
    const std::uint64_t end = now + ns;
    for (int turns = 0; turns < 100'000; ++turns) {
      const auto next = stack->next_deadline();
      if (!next || *next > end) break;
      now = std::max(now, *next);
      stack->on_time(now);
      stack->flush();
    }
    now = end;
    stack->on_time(now);
    stack->flush();
  }

  void descriptor_event(int fd, std::uint32_t epoll_events) {
    const auto watched = upcalls.watched.find(fd);
    ASSERT_NE(watched, upcalls.watched.end());
    stack->on_descriptor(watched->second, epoll_events);
    stack->flush();
  }
  // All watched descriptors, as after a sleep.
  void descriptor_events(std::uint32_t epoll_events = EPOLLIN | EPOLLOUT) {
    const auto watched = upcalls.watched;
    for (const auto& [fd, token] : watched) stack->on_descriptor(token, epoll_events);
    stack->flush();
  }

  void give_room(std::optional<std::size_t> frames) {
    wire.frames_of_room = frames;
    stack->on_wire_room();
    stack->flush();
  }

  // Everything sent to the guest since the last call; a frame that Linux would drop is a failure.
  std::vector<Parsed> received() {
    std::vector<Parsed> all;
    for (const Frame& frame : wire.take()) {
      all.push_back(parse(frame));
      EXPECT_EQ(all.back().problem, "");
    }
    return all;
  }
  // The one frame sent to the guest since the last call.
  Parsed only() {
    auto all = received();
    EXPECT_EQ(all.size(), 1U);
    return all.empty() ? Parsed{} : all.front();
  }
  void expect_silence() { EXPECT_EQ(received().size(), 0U); }

  // A pair of connected descriptors: the stack's end, nonblocking, and `host`, the test's.
  Fd make_pair(int type, Fd& host) {
    std::array<int, 2> ends{};
    EXPECT_EQ(::socketpair(AF_UNIX, type | SOCK_CLOEXEC | SOCK_NONBLOCK, 0, ends.data()), 0);
    host.reset(ends[0]);
    return Fd(ends[1]);
  }

  Config config = make_config();
  FakeWire wire;
  FakeUpcalls upcalls;
  Budgets budgets;
  std::uint64_t now = kSecond;
  std::size_t piece_bytes = 0;
  std::unique_ptr<Stack> stack;
};

}  // namespace microagent::netstack::testing
