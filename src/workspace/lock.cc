#include "workspace/lock.h"

#include <fcntl.h>
#include <fmt/format.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cerrno>

namespace microagent::workspace {
namespace {

// The lock is the first byte of its file. The second is held by whoever needs the lock to stay free for a moment.
enum class Part : off_t { lock = 0, vacancy = 1 };

struct flock range_of(Part part, short type = F_WRLCK) {
  struct flock range {};
  range.l_type = type;
  range.l_whence = SEEK_SET;
  range.l_start = static_cast<off_t>(part);
  range.l_len = 1;
  return range;
}

tl::unexpected<Error> fail_at(int error, const std::filesystem::path& path) {
  return fail_errno(error, fmt::format("cannot lock {}", path.string()));
}

Result<Fd> open_lock(const std::filesystem::path& path) {
  Fd file(::open(path.c_str(), O_RDWR | O_CREAT | O_NOFOLLOW | O_CLOEXEC, 0600));
  if (!file) return fail_at(errno, path);
  return file;
}

// False where somebody else has it.
Result<bool> try_take(const Fd& file, Part part, const std::filesystem::path& path) {
  struct flock range = range_of(part);
  if (::fcntl(file.get(), F_OFD_SETLK, &range) == 0) return true;
  if (errno == EAGAIN || errno == EACCES) return false;
  return fail_at(errno, path);
}

Status take(const Fd& file, Part part, const std::filesystem::path& path) {
  struct flock range = range_of(part);
  while (::fcntl(file.get(), F_OFD_SETLKW, &range) != 0) {
    if (errno != EINTR) return fail_at(errno, path);
  }
  return {};
}

Result<bool> is_taken(const Fd& file, Part part, const std::filesystem::path& path) {
  struct flock range = range_of(part);
  if (::fcntl(file.get(), F_OFD_GETLK, &range) != 0) return fail_at(errno, path);
  return range.l_type != F_UNLCK;
}

// With the lock in hand: who keeps it free does so for a moment, and has begun before.
Status wait_out_vacancy(const Fd& file, const std::filesystem::path& path) {
  if (Status passed = take(file, Part::vacancy, path); !passed) return passed;
  struct flock range = range_of(Part::vacancy, F_UNLCK);
  if (::fcntl(file.get(), F_OFD_SETLK, &range) != 0) return fail_at(errno, path);
  return {};
}

// Whether the file still has its name. One that was removed locks nothing any more.
bool is_named(const Fd& file, const std::filesystem::path& path) {
  struct stat held {};
  struct stat named {};
  return ::fstat(file.get(), &held) == 0 && ::stat(path.c_str(), &named) == 0 && held.st_ino == named.st_ino &&
         held.st_dev == named.st_dev;
}

// What `attempt` makes of the file; again where the file was removed before it was locked.
template <typename Attempt>
Result<Fd> lock_named(const std::filesystem::path& path, Attempt attempt) {
  for (;;) {
    auto file = open_lock(path);
    if (!file) return file;
    const Result<bool> locked = attempt(*file);
    if (!locked) return fail(locked.error());
    if (!*locked) return Fd();
    if (is_named(*file, path)) return file;
  }
}

}  // namespace

Result<Fd> try_lock_file(const std::filesystem::path& path) {
  return lock_named(path, [&](const Fd& file) -> Result<bool> {
    const auto taken = try_take(file, Part::lock, path);
    if (!taken || !*taken) return taken;
    if (Status passed = wait_out_vacancy(file, path); !passed) return fail(passed.error());
    return true;
  });
}

Result<Fd> lock_file(const std::filesystem::path& path) {
  return lock_named(path, [&](const Fd& file) -> Result<bool> {
    if (Status taken = take(file, Part::lock, path); !taken) return fail(taken.error());
    if (Status passed = wait_out_vacancy(file, path); !passed) return fail(passed.error());
    return true;
  });
}

Result<Fd> keep_unlocked(const std::filesystem::path& path) {
  return lock_named(path, [&](const Fd& file) -> Result<bool> {
    if (Status kept = take(file, Part::vacancy, path); !kept) return fail(kept.error());
    const auto locked = is_taken(file, Part::lock, path);
    if (!locked) return locked;
    return !*locked;
  });
}

Status remove_lock_file(const std::filesystem::path& path) {
  if (::access(path.c_str(), F_OK) != 0 && errno == ENOENT) return {};
  const auto lock = try_lock_file(path);
  if (!lock) return fail(lock.error());
  if (!*lock || ::unlink(path.c_str()) == 0) return {};
  return fail_errno(errno, fmt::format("cannot remove {}", path.string()));
}

Result<bool> is_file_locked(const std::filesystem::path& path) {
  const Fd file(::open(path.c_str(), O_RDWR | O_NOFOLLOW | O_CLOEXEC));
  if (!file && errno == ENOENT) return false;
  if (!file) return fail_at(errno, path);
  return is_taken(file, Part::lock, path);
}

}  // namespace microagent::workspace
