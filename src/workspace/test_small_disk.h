#pragma once

#include <fcntl.h>
#include <fmt/format.h>
#include <sched.h>
#include <sys/mount.h>
#include <sys/wait.h>
#include <unistd.h>

#include <functional>
#include <optional>
#include <string>

#include "workspace/test_directory.h"

namespace microagent::workspace {

inline bool write_text(const char* path, const std::string& text) {
  const int fd = ::open(path, O_WRONLY | O_CLOEXEC);
  const bool written = fd >= 0 && ::write(fd, text.data(), text.size()) == static_cast<ssize_t>(text.size());
  if (fd >= 0) ::close(fd);
  return written;
}

// A mount namespace of our own, by a user namespace where we are not root.
inline bool enter_mount_namespace() {
  const uid_t uid = ::geteuid();
  const gid_t gid = ::getegid();
  if (uid == 0) return ::unshare(CLONE_NEWNS) == 0;
  return ::unshare(CLONE_NEWUSER | CLONE_NEWNS) == 0 && write_text("/proc/self/setgroups", "deny") &&
         write_text("/proc/self/uid_map", fmt::format("0 {} 1", uid)) &&
         write_text("/proc/self/gid_map", fmt::format("0 {} 1", gid));
}

// Runs `work` in a child process, on a tmpfs of its own with `options` ("size=4k", "nr_inodes=5"), and gives what it
// returned, 0 to 76; nothing where this host does not let us mount.
inline std::optional<int> on_small_disk(const std::string& options,
                                        const std::function<int(const std::string&)>& work) {
  constexpr int kNoMount = 77;
  const TestDirectory directory;
  const pid_t child = ::fork();
  if (child == 0) {
    const bool mounted = enter_mount_namespace() && ::mount("", "/", nullptr, MS_REC | MS_PRIVATE, nullptr) == 0 &&
                         ::mount("tmpfs", directory.path().c_str(), "tmpfs", 0, ("mode=700," + options).c_str()) == 0;
    ::_exit(mounted ? work(directory.path()) : kNoMount);
  }
  int status = 0;
  ::waitpid(child, &status, 0);
  if (!WIFEXITED(status)) return -1;
  return WEXITSTATUS(status) == kNoMount ? std::nullopt : std::optional(WEXITSTATUS(status));
}

}  // namespace microagent::workspace
