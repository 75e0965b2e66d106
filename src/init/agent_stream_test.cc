#include "init/agent_stream.h"

#include <gtest/gtest.h>
#include <sys/epoll.h>
#include <sys/socket.h>

#include <array>
#include <cerrno>

namespace microagent::init {
namespace {

using wire::FrameType;

class AgentStreamTest : public testing::Test {
 protected:
  // The guest's end of a new connection; refused while nobody answers.
  Result<Fd> connect() {
    ++attempts_;
    if (!answers_) return fail_errno(ECONNRESET, "nobody answers");
    std::array<int, 2> ends{};
    EXPECT_EQ(::socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0, ends.data()), 0);
    leave();
    host_.reset(ends[0]);
    reader_ = {};
    EXPECT_TRUE(loop_.watch(host_.get(), EPOLLIN, [this](std::uint32_t) { hear(); }));
    return Fd(ends[1]);
  }

  template <typename Fact>
  bool until(Fact fact) {
    bool late = false;
    const Loop::Timer timer = loop_.after(std::chrono::seconds(10), [&] { late = true; });
    while (!fact() && !late) loop_.step();
    loop_.cancel(timer);
    return fact();
  }

  // The host ends the connection.
  void leave() {
    if (host_) loop_.forget(host_.get());
    host_.reset();
  }

  void hear() {
    std::array<std::uint8_t, 4096> chunk;
    const ssize_t count = ::recv(host_.get(), chunk.data(), chunk.size(), MSG_DONTWAIT);
    if (count == 0) ended_ = true;
    if (count <= 0) return loop_.change(host_.get(), 0);
    reader_.feed(ByteView(chunk).first(static_cast<std::size_t>(count)));
    while (const auto frame = reader_.next()) {
      if (frame->type == FrameType::hello) heard_ += "hello ";
      else heard_ += std::string(frame->payload.begin(), frame->payload.end()) + " ";
    }
  }

  void say(std::string_view text) { stream_.send(wire::encode_frame(FrameType::ready, text)); }

  Loop loop_ = *Loop::make();
  bool answers_ = true, ended_ = false;
  int attempts_ = 0, shutdowns_ = 0;
  Fd host_;
  wire::FrameReader reader_;
  std::string heard_;
  AgentStream stream_{
      loop_, [this] { return connect(); },
      [this](const wire::FrameReader::Frame& frame) { shutdowns_ += frame.type == FrameType::shutdown; }};
};

TEST_F(AgentStreamTest, GreetsBeforeAnythingElse) {
  say("early");
  stream_.open();
  say("later");
  EXPECT_TRUE(until([&] { return heard_ == "hello early later "; })) << heard_;
}

TEST_F(AgentStreamTest, ConnectsAgainAndSaysNothingTwice) {
  stream_.open();
  say("one");
  ASSERT_TRUE(until([&] { return heard_ == "hello one "; }));
  leave();
  ASSERT_TRUE(until([&] { return heard_ == "hello one hello "; }));
  EXPECT_EQ(attempts_, 2);
  say("two");
  EXPECT_TRUE(until([&] { return heard_ == "hello one hello two "; }));
}

TEST_F(AgentStreamTest, KeepsWhatItHasToSayWhileNobodyAnswers) {
  answers_ = false;
  stream_.open();
  say("patience");
  ASSERT_TRUE(until([&] { return attempts_ == 3; }));
  answers_ = true;
  EXPECT_TRUE(until([&] { return heard_ == "hello patience "; }));
}

TEST_F(AgentStreamTest, DoesNotGrowByRepetition) {
  for (int i = 0; i < 1000; ++i) say("again");
  stream_.open();
  say("last");
  ASSERT_TRUE(until([&] { return heard_.ends_with("last "); }));
  EXPECT_EQ(heard_, "hello again again last ");  // the one that may have been on its way, and one behind it
}

TEST_F(AgentStreamTest, TellsOfAShutdown) {
  stream_.open();
  ASSERT_TRUE(until([&] { return heard_ == "hello "; }));
  const auto frame = wire::encode_frame(FrameType::shutdown, ByteView());
  ASSERT_EQ(::send(host_.get(), frame.data(), frame.size(), 0), static_cast<ssize_t>(frame.size()));
  EXPECT_TRUE(until([&] { return shutdowns_ == 1; }));
}

TEST_F(AgentStreamTest, IsFinishedOnceTheHostHasEverything) {
  stream_.open();
  say("last words");
  stream_.finish();
  ASSERT_TRUE(until([&] { return ended_; }));
  EXPECT_EQ(heard_, "hello last words ");
  EXPECT_FALSE(stream_.finished());
  leave();
  EXPECT_TRUE(until([&] { return stream_.finished(); }));
  EXPECT_EQ(attempts_, 1);
}

}  // namespace
}  // namespace microagent::init
