// Processes: namespaces, parents that die, privileges that cannot come back.

#include <fcntl.h>
#include <gtest/gtest.h>
#include <linux/seccomp.h>
#include <net/if.h>
#include <poll.h>
#include <sched.h>
#include <signal.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <sys/un.h>
#include <sys/wait.h>
#include <unistd.h>

#include <array>
#include <cstdio>
#include <cstdlib>
#include <string>

#include "base/fd.h"
#include "own_network.h"

namespace microagent::platform {
namespace {

TEST(NetworkNamespace, OfAnOrdinaryUserIsEmpty) {
  const int outcome = in_child([] {
    if (::unshare(CLONE_NEWUSER | CLONE_NEWNET) != 0) return 77;
    const struct if_nameindex* names = ::if_nameindex();
    if (names == nullptr) return 1;
    int count = 0;
    while (names[count].if_index != 0) ++count;
    return count == 1 ? 0 : 2;
  });
  if (outcome == 77) GTEST_SKIP() << "this host gives no user namespaces; QEMU keeps the host's network";
  EXPECT_EQ(outcome, 0) << "lo alone was expected";
}

TEST(NetworkNamespace, DoesNotTakeOpenSocketsAway) {
  const int outcome = in_child([] {
    std::array<int, 2> ends{};
    if (::socketpair(AF_UNIX, SOCK_STREAM, 0, ends.data()) != 0) return 1;
    if (::unshare(CLONE_NEWUSER | CLONE_NEWNET) != 0) return 77;
    char byte = 'x';
    return ::write(ends[0], &byte, 1) == 1 && ::read(ends[1], &byte, 1) == 1 ? 0 : 2;
  });
  if (outcome == 77) GTEST_SKIP() << "this host gives no user namespaces";
  EXPECT_EQ(outcome, 0);
}

// QEMU connects to its vhost-user back ends by path, from an empty network namespace.
TEST(NetworkNamespace, ReachesLocalSocketsThatHaveAPath) {
  std::string directory = "/tmp/platform.XXXXXX";
  ASSERT_NE(::mkdtemp(directory.data()), nullptr);
  sockaddr_un address{};
  address.sun_family = AF_UNIX;
  std::snprintf(address.sun_path, sizeof address.sun_path, "%s/socket", directory.c_str());
  const auto* generic = reinterpret_cast<sockaddr*>(&address);
  const Fd listener(::socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0));
  ASSERT_EQ(::bind(listener.get(), generic, sizeof address), 0);
  ASSERT_EQ(::listen(listener.get(), 1), 0);
  const int outcome = in_child([&] {
    if (::unshare(CLONE_NEWUSER | CLONE_NEWNET) != 0) return 77;
    const Fd socket(::socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0));
    return ::connect(socket.get(), generic, sizeof address) == 0 ? 0 : 1;
  });
  ::unlink(address.sun_path);
  ::rmdir(directory.c_str());
  if (outcome == 77) GTEST_SKIP() << "this host gives no user namespaces";
  EXPECT_EQ(outcome, 0);
}

TEST(ParentDeath, KillsTheChild) {
  std::array<int, 2> pipe_ends{};
  ASSERT_EQ(::pipe2(pipe_ends.data(), O_CLOEXEC), 0);
  const Fd reader(pipe_ends[0]);
  Fd writer(pipe_ends[1]);
  const pid_t parent = ::fork();
  if (parent == 0) {
    const pid_t self = ::getpid();
    if (::fork() == 0) {
      ::prctl(PR_SET_PDEATHSIG, SIGKILL);
      if (::getppid() != self) ::_exit(0);
      for (;;) ::pause();
    }
    for (;;) ::pause();
  }
  writer.reset();
  pollfd polled{reader.get(), POLLIN, 0};
  EXPECT_EQ(::poll(&polled, 1, 50), 0) << "both live, and hold the pipe";
  ::kill(parent, SIGKILL);
  ::waitpid(parent, nullptr, 0);
  EXPECT_EQ(::poll(&polled, 1, 5000), 1) << "the grandchild outlived its parent";
}

TEST(ParentDeath, SurvivesAnExecutionWithoutPrivilege) {
  EXPECT_EQ(in_child([] {
              ::prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0);
              ::prctl(PR_SET_PDEATHSIG, SIGKILL);
              int signal = 0;
              ::prctl(PR_GET_PDEATHSIG, &signal);
              return signal == SIGKILL ? 0 : 1;
            }),
            0);
}

TEST(NoNewPrivileges, IsInheritedAndForGood) {
  EXPECT_EQ(in_child([] {
              if (::prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) != 0) return 1;
              if (::prctl(PR_SET_NO_NEW_PRIVS, 0, 0, 0, 0) == 0) return 2;
              const int of_child = in_child([] { return ::prctl(PR_GET_NO_NEW_PRIVS, 0, 0, 0, 0); });
              return of_child == 1 ? 0 : 3;
            }),
            0);
}

TEST(CloseRange, MarksDescriptorsForClosing) {
  EXPECT_EQ(in_child([] {
              const int descriptor = ::dup(0);
              if (::syscall(SYS_close_range, descriptor, ~0U, CLOSE_RANGE_CLOEXEC) != 0) return 1;
              return (::fcntl(descriptor, F_GETFD) & FD_CLOEXEC) != 0 ? 0 : 2;
            }),
            0);
}

TEST(Seccomp, CanKillAProcess) {
  const std::uint32_t action = SECCOMP_RET_KILL_PROCESS;
  EXPECT_EQ(::syscall(SYS_seccomp, SECCOMP_GET_ACTION_AVAIL, 0, &action), 0);
}

}  // namespace
}  // namespace microagent::platform
