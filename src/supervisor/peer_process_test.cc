#include "supervisor/peer_process.h"

#include <gtest/gtest.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <sys/wait.h>
#include <unistd.h>

#include <array>
#include <csignal>
#include <filesystem>

namespace microagent::supervisor {
namespace {

// A process that listens, and does nothing else.
class PeerProcess : public testing::Test {
 protected:
  void SetUp() override {
    path_.copy(address_.sun_path, sizeof address_.sun_path - 1);
    std::array<int, 2> ends{};
    ASSERT_EQ(::pipe(ends.data()), 0);
    const Fd reading(ends[0]);
    Fd writing(ends[1]);
    pid_ = ::fork();
    if (pid_ == 0) {
      const int listener = ::socket(AF_UNIX, SOCK_STREAM, 0);
      const bool listens = ::bind(listener, name(), sizeof address_) == 0 && ::listen(listener, 1) == 0;
      if (!listens || ::write(writing.get(), "x", 1) != 1) ::_exit(1);
      for (;;) ::pause();
    }
    writing.reset();
    char letter = 0;
    ASSERT_EQ(::read(reading.get(), &letter, 1), 1);
    ASSERT_EQ(::connect(connection_.get(), name(), sizeof address_), 0);
  }
  void TearDown() override {
    ::kill(pid_, SIGKILL);
    ::waitpid(pid_, nullptr, 0);
    std::filesystem::remove(path_);
  }
  const sockaddr* name() const { return reinterpret_cast<const sockaddr*>(&address_); }

  const std::string path_ = testing::TempDir() + "peer." + std::to_string(::getpid());
  sockaddr_un address_{AF_UNIX, {}};
  pid_t pid_ = -1;
  Fd connection_{::socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0)};
};

TEST_F(PeerProcess, IsEndedThoughItIsStopped) {
  ASSERT_EQ(::kill(pid_, SIGSTOP), 0);
  const auto process = peer_process(connection_.get());
  ASSERT_TRUE(process) << process.error().message;
  EXPECT_TRUE(end_process(*process));
  int status = 0;
  ASSERT_EQ(::waitpid(pid_, &status, WNOHANG), pid_);
  EXPECT_TRUE(WIFSIGNALED(status) && WTERMSIG(status) == SIGKILL);
}

// Its number may be somebody else's by then.
TEST_F(PeerProcess, IsNobodyOnceItHasEnded) {
  ASSERT_EQ(::kill(pid_, SIGKILL), 0);
  siginfo_t info{};
  ASSERT_EQ(::waitid(P_PID, static_cast<id_t>(pid_), &info, WEXITED | WNOWAIT), 0);
  const auto process = peer_process(connection_.get());
  ASSERT_FALSE(process);
  EXPECT_EQ(process.error().kind, ErrorKind::conflict);
}

}  // namespace
}  // namespace microagent::supervisor
