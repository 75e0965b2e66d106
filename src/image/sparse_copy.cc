#include "image/sparse_copy.h"

#include <fcntl.h>
#include <fmt/format.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <vector>

#include "base/fd.h"

namespace microagent::image {
namespace {

namespace fs = std::filesystem;

constexpr std::size_t kPiece = 1024 * 1024;

// Whether the kernel cannot copy between these two by itself: not on one file system, or not on this kind of one.
bool is_beyond_kernel(int error) { return error == EXDEV || error == EOPNOTSUPP || error == EINVAL || error == ENOSYS; }

// Through our memory; like copy_file_range(2) of how many bytes, and both places moved on.
ssize_t copy_piece(int from, off_t& in, int to, off_t& out, std::size_t length) {
  std::vector<char> piece(std::min(length, kPiece));
  const ssize_t count = ::pread(from, piece.data(), piece.size(), in);
  if (count <= 0) return count;
  for (ssize_t written = 0; written < count;) {
    const ssize_t more = ::pwrite(to, piece.data() + written, static_cast<std::size_t>(count - written), out);
    if (more < 0 && errno == EINTR) continue;
    if (more < 0) return more;
    written += more;
    out += more;
  }
  in += count;
  return count;
}

Status copy_range(int from, int to, off_t begin, off_t end, const fs::path& name) {
  bool by_kernel = true;
  for (off_t in = begin, out = begin; in < end;) {
    const auto left = static_cast<std::size_t>(end - in);
    const ssize_t count =
        by_kernel ? ::copy_file_range(from, &in, to, &out, left, 0) : copy_piece(from, in, to, out, left);
    if (count < 0 && errno == EINTR) continue;
    if (count < 0 && by_kernel && is_beyond_kernel(errno)) {
      by_kernel = false;
      continue;
    }
    if (count < 0) return fail_errno(errno, fmt::format("cannot write {}", name.string()));
    if (count == 0)
      return fail(ErrorKind::permanent, fmt::format("{} became shorter while it was copied", name.string()));
  }
  return {};
}

Status copy_data(int from, int to, const fs::path& name) {
  struct stat facts {};
  if (::fstat(from, &facts) != 0 || ::ftruncate(to, facts.st_size) != 0) {
    return fail_errno(errno, fmt::format("cannot write {}", name.string()));
  }
  for (off_t place = 0;;) {
    const off_t begin = ::lseek(from, place, SEEK_DATA);
    if (begin < 0 && errno == ENXIO) break;  // only a hole is left
    const off_t end = begin < 0 ? -1 : ::lseek(from, begin, SEEK_HOLE);
    if (end < 0) return fail_errno(errno, fmt::format("cannot copy to {}", name.string()));
    if (Status copied = copy_range(from, to, begin, end, name); !copied) return copied;
    place = end;
  }
  if (::fsync(to) != 0) return fail_errno(errno, fmt::format("cannot write {}", name.string()));
  return {};
}

}  // namespace

Status copy_sparse(const fs::path& from, const fs::path& to) {
  const Fd in(::open(from.c_str(), O_RDONLY | O_CLOEXEC));
  if (!in) return fail_errno(errno, fmt::format("cannot read {}", from.string()));
  const Fd out(::open(to.c_str(), O_RDWR | O_CREAT | O_EXCL | O_CLOEXEC, 0400));
  if (!out) return fail_errno(errno, fmt::format("cannot write {}", to.string()));
  Status copied = copy_data(in.get(), out.get(), to);
  if (!copied) ::unlink(to.c_str());
  return copied;
}

}  // namespace microagent::image
