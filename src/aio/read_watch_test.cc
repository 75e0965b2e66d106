#include "aio/read_watch.h"

#include <gtest/gtest.h>
#include <sys/socket.h>
#include <unistd.h>

#include <array>
#include <boost/asio/experimental/awaitable_operators.hpp>
#include <boost/asio/io_context.hpp>
#include <boost/asio/post.hpp>
#include <optional>

namespace microagent::aio {
namespace {

using namespace asio::experimental::awaitable_operators;
using std::chrono::milliseconds;

struct Watched {
  explicit Watched(asio::io_context& io) {
    std::array<int, 2> ends{};
    EXPECT_EQ(::socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0, ends.data()), 0);
    near.emplace(std::move(*watch(io.get_executor(), Fd(ends[0]))));
    far.reset(ends[1]);
    news.emplace(*near);
  }
  void put() const { EXPECT_EQ(::send(far.get(), "x", 1, 0), 1); }
  void take() {
    char byte = 0;
    EXPECT_EQ(::recv(near->native_handle(), &byte, 1, 0), 1);
  }

  std::optional<Descriptor> near;
  Fd far;
  std::optional<ReadWatch> news;
};

class ReadWatchTest : public ::testing::Test {
 protected:
  // Runs the loop until the coroutine is done.
  void run(asio::awaitable<void> coroutine) {
    bool done = false;
    spawn(io_.get_executor(), [](asio::awaitable<void> inner, bool& flag) -> asio::awaitable<void> {
      co_await std::move(inner);
      flag = true;
    }(std::move(coroutine), done));
    io_.restart();
    while (!done && io_.run_one_for(std::chrono::seconds(10)) > 0) continue;
    EXPECT_TRUE(done);
  }

  asio::io_context io_{1};
  Watched a_{io_}, b_{io_};
};

TEST_F(ReadWatchTest, HasNewsOnceForEachWait) {
  run([](Watched& a) -> asio::awaitable<void> {
    EXPECT_FALSE(a.news->take_news());
    a.put();
    EXPECT_EQ(co_await a.news->wait(kNever), Wait::ready);
    EXPECT_TRUE(a.news->take_news());
    EXPECT_FALSE(a.news->take_news());
    // What was not read is news again to the next who waits.
    EXPECT_EQ(co_await a.news->wait(kNever), Wait::ready);
    EXPECT_TRUE(a.news->take_news());
    a.take();
    EXPECT_EQ(co_await a.news->wait(in(milliseconds(1))), Wait::timed_out);
    EXPECT_FALSE(a.news->take_news());
  }(a_));
}

TEST_F(ReadWatchTest, StaysSetWhileItsWaiterIsElsewhere) {
  run([](Watched& a, Watched& b) -> asio::awaitable<void> {
    a.put();
    co_await ReadWatch::wait_for_either(*a.news, *b.news);
    EXPECT_TRUE(a.news->take_news());
    EXPECT_FALSE(b.news->take_news());
    a.take();
    b.put();
    EXPECT_EQ(co_await b.news->wait(kNever), Wait::ready);
    co_await ReadWatch::wait_for_either(*a.news, *b.news);  // nobody took it
    EXPECT_TRUE(b.news->take_news());
    b.take();
    b.far.reset();
    co_await ReadWatch::wait_for_either(*a.news, *b.news);
    EXPECT_TRUE(b.news->take_news());
  }(a_, b_));
}

TEST_F(ReadWatchTest, CanBeCancelledAndWaitedForAgain) {
  run([](Watched& a) -> asio::awaitable<void> {
    const auto soon = [](asio::any_io_executor executor) -> asio::awaitable<void> {
      co_await asio::post(executor, asio::use_awaitable);
    };
    const auto first = co_await (a.news->wait(kNever) || soon(a.near->get_executor()));
    EXPECT_EQ(first.index(), 1u);
    a.put();
    EXPECT_EQ(co_await a.news->wait(in(milliseconds(5000))), Wait::ready);
  }(a_));
}

TEST_F(ReadWatchTest, MayGoBeforeTheLoopHasEnded) {
  run([](Watched& a) -> asio::awaitable<void> {
    EXPECT_EQ(co_await a.news->wait(in(milliseconds(1))), Wait::timed_out);
  }(a_));
  a_.news.reset();
  a_.put();
  io_.restart();
  io_.run_one_for(std::chrono::seconds(5));
  a_.near.reset();
}

}  // namespace
}  // namespace microagent::aio
