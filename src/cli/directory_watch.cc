#include "cli/directory_watch.h"

#include <fmt/format.h>
#include <poll.h>
#include <sys/inotify.h>
#include <unistd.h>

#include <array>
#include <cerrno>

namespace microagent::cli {
namespace {

constexpr int kPatienceMs = 1000;

}  // namespace

Result<DirectoryWatch> DirectoryWatch::open(const std::filesystem::path& directory) {
  Fd watch(::inotify_init1(IN_CLOEXEC | IN_NONBLOCK));
  constexpr std::uint32_t kChanges = IN_MODIFY | IN_CREATE | IN_MOVED_TO | IN_DELETE_SELF;
  if (!watch || ::inotify_add_watch(watch.get(), directory.c_str(), kChanges) < 0) {
    return fail_errno(errno, fmt::format("cannot watch {}", directory.string()));
  }
  return DirectoryWatch(std::move(watch));
}

void DirectoryWatch::wait() const {
  pollfd polled{watch_.get(), POLLIN, 0};
  ::poll(&polled, 1, kPatienceMs);
  std::array<char, 4096> events;
  while (::read(watch_.get(), events.data(), events.size()) > 0) {
  }
}

}  // namespace microagent::cli
