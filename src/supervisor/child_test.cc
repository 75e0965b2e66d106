#include "supervisor/child.h"

#include <fcntl.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <poll.h>
#include <signal.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cstdlib>

#include "base/pipe.h"
#include "supervisor/worker.h"

namespace microagent::supervisor {
namespace {

using testing::HasSubstr;
using testing::Not;

// What a shell command, run as a child, writes to its standard output.
std::string output_of(const std::string& command, std::vector<int> descriptors = {}, bool leave_network = false) {
  auto pipe = make_pipe();
  const Fd null(::open("/dev/null", O_WRONLY | O_CLOEXEC));
  const auto child = start_child({.program = "/bin/sh",
                                  .arguments = {"-c", command},
                                  .descriptors = std::move(descriptors),
                                  .standard_output = pipe->write.get(),
                                  .standard_error = null.get(),
                                  .leave_network = leave_network});
  EXPECT_TRUE(child) << child.error().message;
  pipe->write.reset();
  std::string output;
  std::array<char, 4096> chunk{};
  for (ssize_t count; (count = ::read(pipe->read.get(), chunk.data(), chunk.size())) > 0;) {
    output.append(chunk.data(), static_cast<std::size_t>(count));
  }
  pollfd ended{child->pidfd.get(), POLLIN, 0};
  EXPECT_EQ(::poll(&ended, 1, 5000), 1);
  const auto end = reap(child->pid);
  EXPECT_TRUE(end && end->code == 0 && end->signal == 0);
  return output;
}

TEST(StartChild, HasNoPrivilege) {
  const std::string status = output_of("cat /proc/self/status");
  for (const char* set : {"CapInh", "CapPrm", "CapEff", "CapAmb"}) {
    EXPECT_THAT(status, HasSubstr(std::string(set) + ":\t0000000000000000"));
  }
  EXPECT_THAT(status, HasSubstr("NoNewPrivs:\t1"));
}

TEST(StartChild, InheritsOnlyWhatItWasGiven) {
  const Fd leaky(::open("/dev/zero", O_RDONLY));  // not close-on-exec
  const Fd first(::open("/dev/full", O_RDONLY | O_CLOEXEC));
  const Fd second(::open("/dev/urandom", O_RDONLY | O_CLOEXEC));
  const std::string listing = output_of("readlink /proc/$$/fd/*; true", {first.get(), second.get()});
  EXPECT_THAT(listing, HasSubstr("/dev/full\n/dev/urandom\n"));
  EXPECT_THAT(listing, Not(HasSubstr("/dev/zero")));
  EXPECT_THAT(output_of("readlink /proc/$$/fd/0"), HasSubstr("/dev/null"));
}

TEST(StartChild, ArrangesDescriptorsWhoseNumbersCross) {
  const Fd a(::open("/dev/full", O_RDONLY | O_CLOEXEC));
  const Fd b(::open("/dev/urandom", O_RDONLY | O_CLOEXEC));
  // Their own numbers are each other's places.
  const Fd in_fourth(::fcntl(a.get(), F_DUPFD_CLOEXEC, 4));
  const std::string listing = output_of("readlink /proc/$$/fd/3 /proc/$$/fd/4", {in_fourth.get(), b.get()});
  EXPECT_EQ(listing, "/dev/full\n/dev/urandom\n");
}

TEST(StartChild, KeepsSecretsOutOfItsEnvironment) {
  ::setenv("SECRET_TOKEN", "hunter2", 1);
  EXPECT_THAT(output_of("env"), Not(HasSubstr("hunter2")));
  ::unsetenv("SECRET_TOKEN");
}

TEST(StartChild, SeesNoNetworkWhereThatIsAllowed) {
  auto pipe = make_pipe();
  const std::string devices = output_of("cat /proc/self/net/dev | tail -n +3", {}, true);
  const auto probe = start_child({.program = "/bin/true",
                                  .standard_output = pipe->write.get(),
                                  .standard_error = pipe->write.get(),
                                  .leave_network = true});
  ASSERT_TRUE(probe);
  if (!probe->kept_network) EXPECT_THAT(devices, testing::StartsWith("    lo:"));
  EXPECT_EQ(std::count(devices.begin(), devices.end(), '\n') > 1, probe->kept_network.has_value());
}

TEST(StartChild, SaysWhatCannotBeRun) {
  const Fd null(::open("/dev/null", O_WRONLY | O_CLOEXEC));
  for (const bool leave_network : {false, true}) {
    const auto child = start_child({.program = "/nowhere/program",
                                    .standard_output = null.get(),
                                    .standard_error = null.get(),
                                    .leave_network = leave_network});
    ASSERT_FALSE(child);
    EXPECT_EQ(child.error().kind, ErrorKind::not_found);
    EXPECT_THAT(child.error().message, HasSubstr("/nowhere/program cannot be run"));
  }
}

TEST(StartChild, DiesWithItsParent) {
  auto pipe = make_pipe();
  const pid_t parent = ::fork();
  if (parent == 0) {
    // The pipe is the child's standard output: it closes when the child has died.
    const auto child = start_child({.program = "/bin/sleep",
                                    .arguments = {"1000"},
                                    .standard_output = pipe->write.get(),
                                    .standard_error = pipe->write.get(),
                                    .leave_network = true});
    ::_exit(child ? 0 : 1);
  }
  pipe->write.reset();
  pollfd closed{pipe->read.get(), POLLIN, 0};
  EXPECT_EQ(::poll(&closed, 1, 5000), 1);
}

TEST(Describe, NamesSignals) {
  EXPECT_EQ(describe(ChildEnd{3, 0}), "exited with code 3");
  EXPECT_EQ(describe(ChildEnd{0, SIGSEGV}), "was killed by signal 11 (SIGSEGV)");
}

}  // namespace
}  // namespace microagent::supervisor
