#include "workspace/lock.h"

#include <fcntl.h>
#include <fmt/format.h>

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

}  // namespace

Result<Fd> try_lock_file(const std::filesystem::path& path) {
  auto file = open_lock(path);
  if (!file) return file;
  const auto taken = try_take(*file, Part::lock, path);
  if (!taken) return fail(taken.error());
  if (!*taken) return Fd();
  if (Status passed = wait_out_vacancy(*file, path); !passed) return fail(passed.error());
  return file;
}

Result<Fd> lock_file(const std::filesystem::path& path) {
  auto file = open_lock(path);
  if (!file) return file;
  if (Status taken = take(*file, Part::lock, path); !taken) return fail(taken.error());
  if (Status passed = wait_out_vacancy(*file, path); !passed) return fail(passed.error());
  return file;
}

Result<Fd> keep_unlocked(const std::filesystem::path& path) {
  auto file = open_lock(path);
  if (!file) return file;
  if (Status kept = take(*file, Part::vacancy, path); !kept) return fail(kept.error());
  const auto locked = is_taken(*file, Part::lock, path);
  if (!locked) return fail(locked.error());
  return *locked ? Fd() : std::move(*file);
}

Result<bool> is_file_locked(const std::filesystem::path& path) {
  const Fd file(::open(path.c_str(), O_RDWR | O_NOFOLLOW | O_CLOEXEC));
  if (!file && errno == ENOENT) return false;
  if (!file) return fail_at(errno, path);
  return is_taken(file, Part::lock, path);
}

}  // namespace microagent::workspace
