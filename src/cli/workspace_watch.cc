#include "cli/workspace_watch.h"

#include <fmt/format.h>
#include <poll.h>
#include <sys/inotify.h>
#include <unistd.h>

#include <array>
#include <cerrno>
#include <vector>

#include "supervisor/client.h"

namespace microagent::cli {
namespace {

constexpr std::uint32_t kChanges =
    IN_MODIFY | IN_CREATE | IN_MOVED_TO | IN_DELETE | IN_DELETE_SELF | IN_MOVE_SELF | IN_ONLYDIR;
// A supervisor that is only about to listen, or has just ceased to, may die without a sign. Nothing else is bounded.
constexpr int kPatienceMs = 1000;

}  // namespace

Result<WorkspaceWatch> WorkspaceWatch::open(const workspace::Store& store, std::string name) {
  Fd changes(::inotify_init1(IN_CLOEXEC | IN_NONBLOCK));
  const auto directory = store.directory(name);
  if (!changes || ::inotify_add_watch(changes.get(), directory.c_str(), kChanges) < 0) {
    return fail_errno(errno, fmt::format("cannot watch {}", directory.string()));
  }
  return WorkspaceWatch(store, std::move(name), std::move(changes));
}

Result<bool> WorkspaceWatch::over() {
  const auto runtime = store_->load_settled_runtime(name_);
  if (!runtime && runtime.error().kind == ErrorKind::not_found) return true;
  if (!runtime) return fail(runtime.error());
  if (is_alive(runtime->state)) return false;
  // Its last event comes behind its last record: nobody writes any more once the lock is free.
  const auto locked = store_->locked(name_);
  if (!locked) return fail(locked.error());
  if (*locked) return false;
  const auto supervised = store_->supervised(name_);
  if (!supervised) return fail(supervised.error());
  return !*supervised;
}

void WorkspaceWatch::wait() { wait_beside({}, -1); }

void WorkspaceWatch::wait_beside(std::span<const int> others, int milliseconds) {
  if (!end_) {
    if (auto end = supervisor::watch_end(*store_, name_)) end_ = std::move(*end);
  }
  const bool blind = !end_ && (milliseconds < 0 || milliseconds > kPatienceMs);
  std::vector<pollfd> polled{{changes_.get(), POLLIN, 0}, {end_ ? end_.get() : -1, POLLIN, 0}};
  for (const int other : others) polled.push_back({other, POLLIN, 0});
  ::poll(polled.data(), polled.size(), blind ? kPatienceMs : milliseconds);
  if (polled[1].revents != 0) end_.reset();
  std::array<char, 4096> events;
  while (::read(changes_.get(), events.data(), events.size()) > 0) {
  }
}

}  // namespace microagent::cli
