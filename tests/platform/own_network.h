#pragma once

// A child process in a network namespace of its own, by a user namespace where we are not root.

#include <fcntl.h>
#include <fmt/format.h>
#include <net/if.h>
#include <sched.h>
#include <sys/ioctl.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cstring>
#include <functional>
#include <optional>
#include <string>

#include "base/fd.h"

namespace microagent::platform {

// Runs `work` in a child and gives what it returned; -1 when a signal ended it.
inline int in_child(const std::function<int()>& work) {
  const pid_t child = ::fork();
  if (child == 0) ::_exit(work());
  int status = 0;
  ::waitpid(child, &status, 0);
  return WIFEXITED(status) ? WEXITSTATUS(status) : -1;
}

inline bool write_text(const char* path, const std::string& text) {
  const Fd file(::open(path, O_WRONLY | O_CLOEXEC));
  return file && ::write(file.get(), text.data(), text.size()) == static_cast<ssize_t>(text.size());
}

inline bool enter_own_network() {
  const uid_t uid = ::geteuid();
  const gid_t gid = ::getegid();
  if (uid == 0) return ::unshare(CLONE_NEWNET) == 0;
  return ::unshare(CLONE_NEWUSER | CLONE_NEWNET) == 0 && write_text("/proc/self/setgroups", "deny") &&
         write_text("/proc/self/uid_map", fmt::format("0 {} 1", uid)) &&
         write_text("/proc/self/gid_map", fmt::format("0 {} 1", gid));
}

inline bool raise_loopback() {
  const Fd socket(::socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0));
  ifreq request{};
  std::strcpy(request.ifr_name, "lo");
  request.ifr_flags = IFF_UP;
  return ::ioctl(socket.get(), SIOCSIFFLAGS, &request) == 0;
}

// What `work` returned, 0 to 76, in a network of its own whose loopback is up and where everybody may ping; nothing
// where this host gives no such network.
inline std::optional<int> in_own_network(const std::function<int()>& work) {
  constexpr int kNone = 77;
  const int outcome = in_child([&] {
    const bool made = enter_own_network() && raise_loopback() &&
                      write_text("/proc/sys/net/ipv4/ping_group_range", fmt::format("{0} {0}", ::getegid()));
    return made ? work() : kNone;
  });
  return outcome == kNone ? std::nullopt : std::optional(outcome);
}

}  // namespace microagent::platform
