#include "cli/exec_session.h"

#include <fcntl.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#include <csignal>
#include <cstring>

#include "cli/descriptors.h"

namespace microagent::cli {
namespace {

using testing::HasSubstr;
using wire::FrameType;

struct MemorySink final : ExecSink {
  int descriptor(FrameType) const override { return -1; }
  Result<std::size_t> take(FrameType stream, ByteView bytes) override {
    (stream == FrameType::output ? output : error_output).append(bytes.begin(), bytes.end());
    return bytes.size();
  }
  std::string output, error_output;
};

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
    plan_.request = wire::encode_exec(request).value();
    InputSource input(input_.get());
    if (input_) plan_.input = &input;
    return run_exec(std::move(host_), plan_, sink_);
  }

  // The guest's side in a process of its own, which must end with 0.
  template <typename Play>
  void guest_plays(Play play) {
    player_ = ::fork();
    if (player_ != 0) return guest_.reset();
    host_.reset();
    ::_exit(play() ? 0 : 1);
  }
  // The next frame, in the guest's process; nothing once the host is gone.
  std::optional<wire::FrameReader::Frame> hear() {
    std::vector<std::uint8_t> chunk(64 * 1024);
    for (;;) {
      if (auto frame = reader_.next()) return frame;
      const ssize_t count = ::recv(guest_.get(), chunk.data(), chunk.size(), 0);
      if (count <= 0) return std::nullopt;
      reader_.feed(ByteView(chunk).first(static_cast<std::size_t>(count)));
    }
  }
  bool guest_was_content() {
    int status = 1;
    return ::waitpid(player_, &status, 0) == player_ && status == 0;
  }

  ExecPlan plan_;
  MemorySink sink_;
  Fd host_, guest_, input_;
  wire::FrameReader reader_;
  pid_t player_ = -1;
  std::string& output_ = sink_.output;
  std::string& error_output_ = sink_.error_output;
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
  guest_plays([this] {
    std::string types, input;
    while (!types.ends_with('.')) {
      const auto frame = hear();
      if (!frame) return false;
      types += frame->type == FrameType::exec ? 'e' : frame->type == FrameType::input ? 'i' : '.';
      if (frame->type == FrameType::input) input.append(frame->payload.begin(), frame->payload.end());
    }
    say(FrameType::output, types + ":" + input);
    say_end(FrameType::exited, 0, 0);
    return true;
  });
  EXPECT_TRUE(run({"cat"}));
  EXPECT_EQ(output_, "ei.:hello");
  EXPECT_TRUE(guest_was_content());
}

TEST_F(ExecSessionTest, WithoutInputItsEndIsSaidAtOnce) {
  input_.reset();
  guest_plays([this] {
    const bool told = hear()->type == FrameType::exec && hear()->type == FrameType::input_end;
    say_end(FrameType::exited, 0, 0);
    return told;
  });
  EXPECT_TRUE(run());
  EXPECT_TRUE(guest_was_content());
}

TEST_F(ExecSessionTest, NoMoreInputIsOnItsWayThanTheWindowHolds) {
  input_.reset(::open("/dev/zero", O_RDONLY | O_CLOEXEC));
  guest_plays([this] {
    std::size_t held = 0, total = 0;
    while (total < 8 * wire::kInputWindow) {
      const auto frame = hear();
      if (!frame) return false;
      if (frame->type != FrameType::input) continue;
      held += frame->payload.size();
      total += frame->payload.size();
      if (held > wire::kInputWindow) return false;
      if (held + 64 * 1024 <= wire::kInputWindow) continue;
      send(wire::encode_frame(FrameType::input_taken, bytes_of(le32(static_cast<std::uint32_t>(held)))));
      held = 0;
    }
    say_end(FrameType::exited, 0, 0);
    return true;
  });
  const auto end = run();
  EXPECT_TRUE(end) << end.error().message;
  EXPECT_TRUE(guest_was_content());
}

TEST_F(ExecSessionTest, InputThatWasNeverSentCannotBeTaken) {
  send(wire::encode_frame(FrameType::input_taken, bytes_of(le32(1))));
  EXPECT_THAT(run().error().message, HasSubstr("not its protocol"));
}

TEST_F(ExecSessionTest, SignalsGoToTheCommandAndTheThirdEndsTheSession) {
  sigset_t terminate, before;
  sigemptyset(&terminate);
  sigaddset(&terminate, SIGTERM);
  sigprocmask(SIG_BLOCK, &terminate, &before);
  guest_plays([this] {
    // One at a time: a pending signal swallows its equals. The host's frame says that it was taken.
    int sent = 0;
    while (const auto frame = hear()) {
      const bool next = frame->type == FrameType::exec || frame->type == FrameType::signal;
      if (next && sent++ < 3) ::kill(::getppid(), SIGTERM);
    }
    return true;
  });
  const auto end = run();
  sigprocmask(SIG_SETMASK, &before, nullptr);
  ASSERT_TRUE(end) << end.error().message;
  EXPECT_EQ(end->code, 128 + SIGTERM);
  EXPECT_TRUE(guest_was_content());
}

TEST_F(ExecSessionTest, TheTimeoutEndsTheSession) {
  plan_.timeout = std::chrono::milliseconds(50);
  const auto end = run({"sleep", "100"});
  ASSERT_TRUE(end) << end.error().message;
  EXPECT_EQ(end->code, kTimedOut);
  EXPECT_TRUE(end->timed_out);
  char byte = 0;
  while (::recv(guest_.get(), &byte, 1, 0) > 0) {
  }
  EXPECT_EQ(::recv(guest_.get(), &byte, 1, 0), 0) << "the stream is closed, which kills the command";
}

// Output that nobody takes: a pipe that is full and stays so.
TEST_F(ExecSessionTest, OutputThatNobodyTakesMakesTheGuestWait) {
  int ends[2];
  ASSERT_EQ(::pipe2(ends, O_CLOEXEC), 0);
  const Fd reading(ends[0]), writing(ends[1]);
  plan_.timeout = std::chrono::milliseconds(500);
  wire::ExecRequest request;
  request.argv = {"yes"};
  plan_.request = wire::encode_exec(request).value();
  guest_plays([this] {
    const auto block = wire::encode_frame(FrameType::output, std::string(32 * 1024, 'y'));
    std::size_t sent = 0;
    for (ssize_t count = 0; count >= 0; sent += static_cast<std::size_t>(count)) {
      count = ::send(guest_.get(), block.data(), block.size(), MSG_NOSIGNAL);
    }
    return sent < 4 * 1024 * 1024;
  });
  OutputSink sink(writing.get(), writing.get());
  const auto end = run_exec(std::move(host_), plan_, sink);
  ASSERT_TRUE(end) << end.error().message;
  EXPECT_TRUE(end->timed_out) << "the timeout is heeded all the same";
  EXPECT_TRUE(guest_was_content()) << "the guest could send more than the sockets and the pipe hold";
}

TEST_F(ExecSessionTest, GigabytesPassThroughInOrder) {
  int ends[2];
  ASSERT_EQ(::pipe2(ends, O_CLOEXEC), 0);
  constexpr std::uint64_t kBlocks = 16 * 1024;  // of 64 KiB: 1 GiB
  guest_plays([this] {
    std::vector<std::uint8_t> block(wire::kMaxFrame);
    for (std::uint64_t i = 0; i < kBlocks; ++i) {
      std::memcpy(block.data(), &i, sizeof i);
      const auto frame = wire::encode_frame(FrameType::output, ByteView(block));
      if (::send(guest_.get(), frame.data(), frame.size(), MSG_NOSIGNAL) != static_cast<ssize_t>(frame.size())) {
        return false;
      }
    }
    say_end(FrameType::exited, 0, 0);
    return true;
  });
  const pid_t reader = ::fork();
  if (reader == 0) {
    ::close(ends[1]);
    std::vector<std::uint8_t> block(wire::kMaxFrame);
    for (std::uint64_t i = 0; i < kBlocks; ++i) {
      for (std::size_t filled = 0; filled < block.size();) {
        const ssize_t count = ::read(ends[0], block.data() + filled, block.size() - filled);
        if (count <= 0) ::_exit(1);
        filled += static_cast<std::size_t>(count);
      }
      if (std::memcmp(block.data(), &i, sizeof i) != 0) ::_exit(1);
    }
    ::_exit(::read(ends[0], block.data(), 1) == 0 ? 0 : 1);
  }
  ::close(ends[0]);
  {
    const Fd writing(ends[1]);
    OutputSink sink(writing.get(), writing.get());
    plan_.request = wire::encode_exec({.argv = {"cat"}, .env = {}, .workdir = {}}).value();
    const auto end = run_exec(std::move(host_), plan_, sink);
    ASSERT_TRUE(end) << end.error().message;
  }
  int status = 1;
  ASSERT_EQ(::waitpid(reader, &status, 0), reader);
  EXPECT_EQ(status, 0);
  EXPECT_TRUE(guest_was_content());
  rusage usage{};
  ASSERT_EQ(::getrusage(RUSAGE_SELF, &usage), 0);
  EXPECT_LT(usage.ru_maxrss, 256 * 1024) << "KiB: nothing grew with the output";
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

}  // namespace
}  // namespace microagent::cli
