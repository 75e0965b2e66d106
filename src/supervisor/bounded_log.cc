#include "supervisor/bounded_log.h"

#include <fcntl.h>
#include <fmt/format.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cerrno>
#include <string>

#include "base/clock.h"

namespace microagent::supervisor {
namespace {

namespace fs = std::filesystem;

Fd open_log(const fs::path& path, int flags = 0) {
  return Fd(::open(path.c_str(), O_RDWR | O_CREAT | O_APPEND | O_NOFOLLOW | O_CLOEXEC | flags, 0600));
}

Fd open_empty(const fs::path& path) { return open_log(path, O_TRUNC); }

// Between the lives that one file tells of.
std::string separator(char last) {
  return fmt::format("{}--- a new life of the workspace, {} ---\n", last == '\n' ? "" : "\n", utc_timestamp());
}

fs::path older(const fs::path& path) { return path.string() + ".1"; }

}  // namespace

Result<BoundedLog> BoundedLog::create(fs::path path, std::size_t limit, int place) {
  Fd fd = open_empty(path);
  if (!fd) return fail_errno(errno, fmt::format("cannot write {}", path.string()));
  ::unlink(older(path).c_str());
  return put(std::move(path), limit, std::move(fd), place);
}

Result<BoundedLog> BoundedLog::resume(fs::path path, std::size_t limit, int place) {
  Fd fd = open_log(path);
  struct stat status {};
  if (!fd || ::fstat(fd.get(), &status) != 0) return fail_errno(errno, fmt::format("cannot write {}", path.string()));
  auto log = put(std::move(path), limit, std::move(fd), place);
  char last = 0;
  if (log && status.st_size > 0 && ::pread(log->fd(), &last, 1, status.st_size - 1) == 1) log->write(separator(last));
  return log;
}

Result<BoundedLog> BoundedLog::put(fs::path path, std::size_t limit, Fd fd, int place) {
  if (place >= 0) {
    if (::dup3(fd.get(), place, O_CLOEXEC) < 0) return fail_errno(errno, "cannot redirect a descriptor");
    fd.reset(place);
  }
  return BoundedLog(std::move(path), limit, std::move(fd));
}

Result<BoundedLog> open_log_of_life(const fs::path& directory, std::string_view name, bool for_a_copy, int place) {
  constexpr std::size_t kLimit = 16 * 1024 * 1024;
  if (for_a_copy) return BoundedLog::create(directory / fmt::format("copy-{}", name), kLimit, place);
  return BoundedLog::resume(directory / name, kLimit, place);
}

void BoundedLog::write(std::string_view bytes) {
  // The size is asked for, not counted: others may write to the same descriptor.
  struct stat status {};
  const bool known = ::fstat(fd_.get(), &status) == 0;
  if (known && static_cast<std::size_t>(status.st_size) + bytes.size() > limit_) rotate();
  while (!bytes.empty()) {
    const ssize_t count = ::write(fd_.get(), bytes.data(), bytes.size());
    if (count < 0 && errno == EINTR) continue;
    if (count <= 0) return;
    bytes.remove_prefix(static_cast<std::size_t>(count));
  }
}

void BoundedLog::rotate() {
  if (::rename(path_.c_str(), older(path_).c_str()) != 0) {
    [[maybe_unused]] const int emptied = ::ftruncate(fd_.get(), 0);
    return;
  }
  const Fd next = open_empty(path_);
  if (next) ::dup3(next.get(), fd_.get(), O_CLOEXEC);
}

}  // namespace microagent::supervisor
