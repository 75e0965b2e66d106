#include "workspace/lock.h"

#include <fcntl.h>
#include <fmt/format.h>

#include <cerrno>

namespace microagent::workspace {
namespace {

struct flock whole_file() {
  struct flock lock {};
  lock.l_type = F_WRLCK;
  lock.l_whence = SEEK_SET;
  return lock;
}

tl::unexpected<Error> fail_at(int error, const std::filesystem::path& path) {
  return fail_errno(error, fmt::format("cannot lock {}", path.string()));
}

}  // namespace

Result<Fd> try_lock_file(const std::filesystem::path& path) {
  Fd file(::open(path.c_str(), O_RDWR | O_CREAT | O_NOFOLLOW | O_CLOEXEC, 0600));
  if (!file) return fail_at(errno, path);
  struct flock lock = whole_file();
  if (::fcntl(file.get(), F_OFD_SETLK, &lock) == 0) return file;
  if (errno == EAGAIN || errno == EACCES) return Fd();
  return fail_at(errno, path);
}

Result<Fd> lock_file(const std::filesystem::path& path) {
  Fd file(::open(path.c_str(), O_RDWR | O_CREAT | O_NOFOLLOW | O_CLOEXEC, 0600));
  if (!file) return fail_at(errno, path);
  struct flock lock = whole_file();
  while (::fcntl(file.get(), F_OFD_SETLKW, &lock) != 0) {
    if (errno != EINTR) return fail_at(errno, path);
  }
  return file;
}

Result<bool> is_file_locked(const std::filesystem::path& path) {
  const Fd file(::open(path.c_str(), O_RDWR | O_NOFOLLOW | O_CLOEXEC));
  if (!file && errno == ENOENT) return false;
  if (!file) return fail_at(errno, path);
  struct flock lock = whole_file();
  if (::fcntl(file.get(), F_OFD_GETLK, &lock) != 0) return fail_at(errno, path);
  return lock.l_type != F_UNLCK;
}

}  // namespace microagent::workspace
