#include "aio/io.h"

#include <fcntl.h>
#include <gtest/gtest.h>
#include <sys/socket.h>

#include <array>
#include <boost/asio/experimental/awaitable_operators.hpp>
#include <boost/asio/io_context.hpp>
#include <optional>
#include <stdexcept>
#include <string>
#include <vector>

namespace microagent::aio {
namespace {

using namespace asio::experimental::awaitable_operators;
using std::chrono::milliseconds;

class IoTest : public ::testing::Test {
 protected:
  IoTest() {
    std::array<int, 2> ends{};
    EXPECT_EQ(::socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, ends.data()), 0);
    near_.emplace(std::move(*watch(io_.get_executor(), Fd(ends[0]))));
    far_.reset(ends[1]);
  }

  template <typename T>
  T result_of(asio::awaitable<T> coroutine) {
    std::optional<T> result;
    spawn(io_.get_executor(), store(std::move(coroutine), result));
    io_.restart();
    io_.run();
    return std::move(result.value());
  }

  void put(std::string_view text) {
    EXPECT_EQ(::send(far_.get(), text.data(), text.size(), 0), static_cast<ssize_t>(text.size()));
  }

  asio::io_context io_{1};
  std::optional<Descriptor> near_;
  Fd far_;
  std::array<std::uint8_t, 16> buffer_{};

 private:
  template <typename T>
  static asio::awaitable<void> store(asio::awaitable<T> coroutine, std::optional<T>& result) {
    result.emplace(co_await std::move(coroutine));
  }
};

TEST_F(IoTest, WatchesWithoutBlocking) {
  EXPECT_NE(::fcntl(near_->native_handle(), F_GETFL) & O_NONBLOCK, 0);
  EXPECT_FALSE(watch(io_.get_executor(), Fd()));
}

TEST_F(IoTest, ReadsWhatIsThere) {
  put("abc");
  EXPECT_EQ(result_of(read_some(*near_, buffer_, kNever)), 3u);
  far_.reset();
  EXPECT_EQ(result_of(read_some(*near_, buffer_, kNever)), 0u);
}

TEST_F(IoTest, GivesUpAtTheDeadline) {
  EXPECT_EQ(result_of(wait_readable(*near_, in(milliseconds(1)))), Wait::timed_out);
  EXPECT_EQ(result_of(read_some(*near_, buffer_, in(milliseconds(1)))), 0u);
  EXPECT_EQ(result_of(wait_writable(*near_, in(milliseconds(1000)))), Wait::ready);
}

TEST_F(IoTest, ReadsExactlyAsMuchOrFails) {
  put("0123456789abcdef!");
  EXPECT_TRUE(result_of(read_exactly(*near_, buffer_, kNever)));
  far_.reset();
  EXPECT_FALSE(result_of(read_exactly(*near_, buffer_, kNever)));
}

TEST_F(IoTest, WritesAllAsThereIsRoom) {
  const std::string text(4 * 1024 * 1024, 'x');
  std::size_t taken = 0;
  spawn(io_.get_executor(),
        [](const Fd& far, std::size_t& count, asio::any_io_executor executor) -> asio::awaitable<void> {
          auto reader = watch(executor, Fd(::dup(far.get())));
          std::vector<std::uint8_t> piece(64 * 1024);
          while (const std::size_t size = co_await read_some(*reader, piece, kNever)) {
            if ((count += size) == 4 * 1024 * 1024) co_return;
          }
        }(far_, taken, io_.get_executor()));
  EXPECT_TRUE(result_of(write_all(*near_, text_bytes(text), kNever)));
  EXPECT_EQ(taken, text.size());
}

TEST_F(IoTest, DiesOfNoPipe) {
  far_.reset();
  EXPECT_FALSE(result_of(write_all(*near_, text_bytes("x"), kNever)));
}

asio::awaitable<std::size_t> first_of(Descriptor& descriptor) {
  const auto first = co_await (wait_readable(descriptor, in(milliseconds(1))) || forever());
  co_return first.index();
}

TEST_F(IoTest, WaitsForeverUntilTheOtherBranchEnds) { EXPECT_EQ(result_of(first_of(*near_)), 0u); }

// The loop runs until nothing is awaited any more.
TEST_F(IoTest, LeavesNothingBehindWhenItIsCancelled) {
  const auto either = [](Descriptor& descriptor) -> asio::awaitable<std::size_t> {
    const auto first = co_await (wait_readable(descriptor, in(std::chrono::minutes(1))) ||
                                 wait_writable(descriptor, in(std::chrono::minutes(1))));
    co_return first.index();
  };
  const auto begun = std::chrono::steady_clock::now();
  EXPECT_EQ(result_of(either(*near_)), 1u);
  EXPECT_LT(std::chrono::steady_clock::now() - begun, std::chrono::seconds(30));
}

TEST_F(IoTest, EndsNoOtherWaitAtItsDeadline) {
  std::optional<Wait> other;
  spawn(io_.get_executor(), [](Descriptor& descriptor, std::optional<Wait>& result) -> asio::awaitable<void> {
    result = co_await wait_readable(descriptor, kNever);
  }(*near_, other));
  spawn(io_.get_executor(), [](Descriptor& descriptor, const Fd& far) -> asio::awaitable<void> {
    EXPECT_EQ(co_await wait_readable(descriptor, in(milliseconds(1))), Wait::timed_out);
    EXPECT_EQ(::send(far.get(), "x", 1, 0), 1);
  }(*near_, far_));
  io_.run();
  EXPECT_EQ(other, Wait::ready);
}

TEST_F(IoTest, ThrowsOutOfTheLoopWhatACoroutineThrows) {
  spawn(io_.get_executor(), []() -> asio::awaitable<void> {
    throw std::runtime_error("a bug");
    co_return;
  }());
  EXPECT_THROW(io_.run(), std::runtime_error);
}

}  // namespace
}  // namespace microagent::aio
