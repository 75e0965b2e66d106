#include "netstack/testing/net_namespace.h"

#include <fcntl.h>
#include <gtest/gtest.h>
#include <sched.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cstdio>
#include <cstdlib>
#include <string>

#include "base/fd.h"

namespace microagent::netstack::testing {
namespace {

constexpr int kUnavailable = 77;

bool write_file(const char* path, const std::string& text) {
  const Fd file(::open(path, O_WRONLY | O_CLOEXEC));
  return file && ::write(file.get(), text.data(), text.size()) == static_cast<ssize_t>(text.size());
}

bool enter() {
  const std::string uid = std::to_string(::getuid()), gid = std::to_string(::getgid());
  if (::unshare(CLONE_NEWNET) == 0) return true;
  return ::unshare(CLONE_NEWUSER | CLONE_NEWNET) == 0 && write_file("/proc/self/setgroups", "deny") &&
         write_file("/proc/self/uid_map", "0 " + uid + " 1") && write_file("/proc/self/gid_map", "0 " + gid + " 1");
}

bool set_up(unsigned loopback_mtu) {
  const std::string commands = "ip link set lo up mtu " + std::to_string(loopback_mtu) +
                               " && ip addr add 198.51.100.7/32 dev lo && ip addr add 198.51.100.1/32 dev lo"
                               " && { ip addr add 2001:db8::7/128 dev lo nodad 2>/dev/null || true; }";
  return std::system(commands.c_str()) == 0 && write_file("/proc/sys/net/ipv4/ping_group_range", "0 0");
}

}  // namespace

bool in_net_namespace(unsigned loopback_mtu, const std::function<void()>& body) {
  std::fflush(nullptr);
  const pid_t child = ::fork();
  if (child == 0) {
    if (!enter() || !set_up(loopback_mtu)) ::_exit(kUnavailable);
    body();
    std::fflush(nullptr);
    ::_exit(::testing::Test::HasFailure() ? 1 : 0);
  }
  int status = 0;
  EXPECT_EQ(::waitpid(child, &status, 0), child);
  if (WIFEXITED(status) && WEXITSTATUS(status) == kUnavailable) return false;
  EXPECT_TRUE(WIFEXITED(status) && WEXITSTATUS(status) == 0) << "status " << status;
  return true;
}

}  // namespace microagent::netstack::testing
