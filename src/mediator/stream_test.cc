#include "mediator/stream.h"

#include <boost/asio/post.hpp>

#include "mediator/test_loop.h"

namespace microagent::mediator {
namespace {

// A peer that is always faster than we are: whenever its socket has been emptied or filled, it is so again at once.
class StreamTest : public testing::Test {
 protected:
  StreamPtr ours(Fd& theirs) {
    auto ends = socket_pair(SOCK_STREAM);
    theirs = std::move(ends.first);
    return plain_stream(std::move(*watch(loop_.io.get_executor(), std::move(ends.second))));
  }

  asio::awaitable<void> take_all(Stream& stream) {
    const Bytes more(4096, 'x');
    Bytes piece(4096);
    while (taken_ < kAll) {
      const Arrival arrival = co_await stream.read_some(piece, kNever);
      if (arrival.bytes == 0) co_return;
      taken_ += arrival.bytes;
      static_cast<void>(::send(theirs_.get(), more.data(), more.size(), MSG_NOSIGNAL | MSG_DONTWAIT));
    }
  }

  static constexpr std::size_t kAll = 64 * 1024 * 1024;
  TestLoop loop_;
  Fd theirs_;
  std::size_t taken_ = 0;
};

TEST_F(StreamTest, LetsOthersHaveTheirTurn) {
  const StreamPtr stream = ours(theirs_);
  put(theirs_, Bytes(4096, 'x'));
  spawn(loop_.io.get_executor(), take_all(*stream));
  std::size_t taken_before_others = kAll;
  asio::post(loop_.io, [&] { taken_before_others = taken_; });
  ASSERT_TRUE(loop_.until([&] { return taken_ >= kAll; }));
  EXPECT_GT(taken_before_others, 0u);
  EXPECT_LT(taken_before_others, kAll / 8);
}

}  // namespace
}  // namespace microagent::mediator
