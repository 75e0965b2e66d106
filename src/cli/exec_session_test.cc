#include "cli/exec_session.h"

#include <fcntl.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <sys/socket.h>
#include <unistd.h>

#include <csignal>

namespace microagent::cli {
namespace {

using testing::HasSubstr;
using wire::FrameType;

// The guest's end of the stream. What it has to say is written before the session begins: all of it fits the socket.
class ExecSessionTest : public testing::Test {
 protected:
  ExecSessionTest() {
    int ends[2];
    EXPECT_EQ(::socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, ends), 0);
    host_.reset(ends[0]);
    guest_.reset(ends[1]);
    input_.reset(::open("/dev/null", O_RDONLY | O_CLOEXEC));
  }

  void say(FrameType type, std::string_view text) { send(wire::encode_frame(type, text)); }
  void say_end(FrameType type, std::uint32_t code, std::uint32_t signal, std::string_view text = {}) {
    const wire::ExitStatus status{code, signal};
    std::vector<std::uint8_t> payload(bytes_of(status).begin(), bytes_of(status).end());
    payload.insert(payload.end(), text.begin(), text.end());
    send(wire::encode_frame(type, ByteView(payload)));
  }
  void send(const std::vector<std::uint8_t>& bytes) {
    EXPECT_EQ(::send(guest_.get(), bytes.data(), bytes.size(), MSG_NOSIGNAL), static_cast<ssize_t>(bytes.size()));
  }

  Result<ExecEnd> run(const std::vector<std::string>& argv = {"ls"}) {
    wire::ExecRequest request;
    request.argv = argv;
    return run_exec(std::move(host_), request, input_.get(), [this](FrameType type, ByteView bytes) {
      (type == FrameType::output ? output_ : error_output_).append(bytes.begin(), bytes.end());
      return Status{};
    });
  }

  // What the host sent until it closed.
  std::vector<wire::FrameReader::Frame> heard() {
    wire::FrameReader reader;
    std::vector<std::uint8_t> chunk(64 * 1024);
    for (ssize_t count = 1; count > 0;) {
      count = ::recv(guest_.get(), chunk.data(), chunk.size(), MSG_DONTWAIT);
      if (count > 0) reader.feed(ByteView(chunk).first(static_cast<std::size_t>(count)));
    }
    std::vector<wire::FrameReader::Frame> frames;
    while (auto frame = reader.next()) frames.push_back(std::move(*frame));
    return frames;
  }

  Fd host_, guest_, input_;
  std::string output_, error_output_;
};

TEST_F(ExecSessionTest, KeepsTheStreamsApartAndTakesTheCode) {
  say(FrameType::output, "out");
  say(FrameType::error_output, "err");
  say(FrameType::output, "put");
  say_end(FrameType::exited, 7, 0);
  const auto end = run();
  ASSERT_TRUE(end) << end.error().message;
  EXPECT_EQ(end->code, 7);
  EXPECT_EQ(end->failure, "");
  EXPECT_EQ(output_, "output");
  EXPECT_EQ(error_output_, "err");
}

TEST_F(ExecSessionTest, ASignalIsCountedFrom128) {
  say_end(FrameType::exited, 0, SIGKILL);
  EXPECT_EQ(run()->code, 128 + SIGKILL);
}

TEST_F(ExecSessionTest, ACommandThatDidNotBeginSaysWhy) {
  say_end(FrameType::exec_failed, 127, 0, "nosuch: not found");
  const auto end = run({"nosuch"});
  ASSERT_TRUE(end);
  EXPECT_EQ(end->code, 127);
  EXPECT_EQ(end->failure, "nosuch: not found");
}

TEST_F(ExecSessionTest, TheRequestComesFirstThenTheInput) {
  int ends[2];
  ASSERT_EQ(::pipe2(ends, O_CLOEXEC), 0);
  ASSERT_EQ(::write(ends[1], "hello", 5), 5);
  ::close(ends[1]);
  input_.reset(ends[0]);
  // The answer comes when the input's end was read: the guest's word waits behind a second process.
  const pid_t guest = ::fork();
  if (guest == 0) {
    host_.reset();
    wire::FrameReader reader;
    std::vector<std::uint8_t> chunk(4096);
    std::string types, input;
    for (bool open = true; open;) {
      const ssize_t count = ::recv(guest_.get(), chunk.data(), chunk.size(), 0);
      if (count <= 0) ::_exit(1);
      reader.feed(ByteView(chunk).first(static_cast<std::size_t>(count)));
      while (const auto frame = reader.next()) {
        types += frame->type == FrameType::exec ? 'e' : frame->type == FrameType::input ? 'i' : '.';
        if (frame->type == FrameType::input) input.append(frame->payload.begin(), frame->payload.end());
        open = open && frame->type != FrameType::input_end;
      }
    }
    say(FrameType::output, types + ":" + input);
    say_end(FrameType::exited, 0, 0);
    ::_exit(0);
  }
  guest_.reset();
  EXPECT_TRUE(run({"cat"}));
  EXPECT_EQ(output_, "ei.:hello");
}

TEST_F(ExecSessionTest, SignalsGoToTheCommandAndTheThirdEndsTheSession) {
  input_.reset();
  sigset_t terminate, before;
  sigemptyset(&terminate);
  sigaddset(&terminate, SIGTERM);
  sigprocmask(SIG_BLOCK, &terminate, &before);
  const pid_t sender = ::fork();
  if (sender == 0) {
    // One at a time: a pending signal swallows its equals. The host's frame says that it was taken.
    host_.reset();
    wire::FrameReader reader;
    std::vector<std::uint8_t> chunk(4096);
    for (int sent = 0;;) {
      const ssize_t count = ::recv(guest_.get(), chunk.data(), chunk.size(), 0);
      if (count <= 0) ::_exit(0);
      reader.feed(ByteView(chunk).first(static_cast<std::size_t>(count)));
      while (const auto frame = reader.next()) {
        const bool next = frame->type == FrameType::exec || frame->type == FrameType::signal;
        if (next && sent++ < 3) ::kill(::getppid(), SIGTERM);
      }
    }
  }
  guest_.reset();
  const auto end = run();
  sigprocmask(SIG_SETMASK, &before, nullptr);
  ASSERT_TRUE(end) << end.error().message;
  EXPECT_EQ(end->code, 128 + SIGTERM);
}

TEST_F(ExecSessionTest, AStreamThatEndsTooEarlyIsAnError) {
  say(FrameType::output, "half");
  ::shutdown(guest_.get(), SHUT_WR);
  EXPECT_THAT(run().error().message, HasSubstr("ended before its command did"));
  EXPECT_EQ(output_, "half");
}

TEST_F(ExecSessionTest, NonsenseIsAnError) {
  send(std::vector<std::uint8_t>(64, 0xff));
  EXPECT_THAT(run().error().message, HasSubstr("not its protocol"));
}

TEST_F(ExecSessionTest, AFrameOfTheOtherDirectionIsAnError) {
  say(FrameType::input, "x");
  EXPECT_THAT(run().error().message, HasSubstr("not its protocol"));
}

TEST_F(ExecSessionTest, AShortStatusIsAnError) {
  say(FrameType::exited, "x");
  EXPECT_THAT(run().error().message, HasSubstr("not its protocol"));
}

TEST_F(ExecSessionTest, ACommandTooLongIsRefused) {
  const auto end = run({"echo", std::string(wire::kMaxFrame, 'x')});
  ASSERT_FALSE(end);
  EXPECT_EQ(end.error().kind, ErrorKind::usage);
  EXPECT_TRUE(heard().empty());
}

}  // namespace
}  // namespace microagent::cli
