#include "init/loop.h"

#include <fcntl.h>
#include <gtest/gtest.h>
#include <sys/epoll.h>
#include <unistd.h>

#include <array>

namespace microagent::init {
namespace {

class LoopTest : public testing::Test {
 protected:
  std::array<Fd, 2> make_pipe() {
    std::array<int, 2> ends{};
    EXPECT_EQ(::pipe2(ends.data(), O_CLOEXEC), 0);
    return {Fd(ends[0]), Fd(ends[1])};
  }

  Loop loop_ = *Loop::make();
};

TEST_F(LoopTest, RunsTimersInTheirOrder) {
  std::string order;
  loop_.after(std::chrono::milliseconds(20), [&] { order += 'b'; });
  loop_.after(std::chrono::milliseconds(0), [&] { order += 'a'; });
  const Loop::Timer cancelled = loop_.after(std::chrono::milliseconds(10), [&] { order += 'x'; });
  loop_.cancel(cancelled);
  while (order.size() < 2) loop_.step();
  EXPECT_EQ(order, "ab");
}

// Two descriptors are ready at once; what the first one's function does away with must not be called for the second.
TEST_F(LoopTest, AForgottenDescriptorsEventGoesNowhere) {
  auto first = make_pipe(), second = make_pipe();
  int calls = 0;
  const auto on_events = [&](std::array<Fd, 2>& other) {
    return [&, this](std::uint32_t) {
      ++calls;
      loop_.forget(other[0].get());
      other[0].reset();
      // Takes the number that has just become free.
      other = make_pipe();
      EXPECT_TRUE(loop_.watch(other[0].get(), EPOLLIN, [&](std::uint32_t) { ADD_FAILURE() << "not ready"; }));
    };
  };
  ASSERT_TRUE(loop_.watch(first[0].get(), EPOLLIN, on_events(second)));
  ASSERT_TRUE(loop_.watch(second[0].get(), EPOLLIN, on_events(first)));
  for (const auto* pipe : {&first, &second}) ASSERT_EQ(::write((*pipe)[1].get(), "x", 1), 1);
  loop_.step();
  EXPECT_EQ(calls, 1);
}

TEST_F(LoopTest, AFunctionMayForgetItself) {
  auto pipe = make_pipe();
  int calls = 0;
  const std::string kept = "captured, and longer than a small string";
  ASSERT_TRUE(loop_.watch(pipe[0].get(), EPOLLIN, [&, kept](std::uint32_t) {
    loop_.forget(pipe[0].get());
    calls += kept.empty() ? 0 : 1;
  }));
  ASSERT_EQ(::write(pipe[1].get(), "x", 1), 1);
  loop_.step();
  bool late = false;
  loop_.after(std::chrono::milliseconds(1), [&] { late = true; });
  while (!late) loop_.step();
  EXPECT_EQ(calls, 1);
}

}  // namespace
}  // namespace microagent::init
