#include "workspace/files.h"

#include <fcntl.h>
#include <fmt/format.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cstdio>

#include "base/fd.h"
#include "base/write_all.h"
#include "workspace/state.h"

namespace microagent::workspace {
namespace {

namespace fs = std::filesystem;

tl::unexpected<Error> fail_at(int error, std::string_view action, const fs::path& path) {
  return fail_errno(error, fmt::format("cannot {} {}", action, path.string()));
}

Status fill(const fs::path& path, std::string_view content) {
  Fd file(::open(path.c_str(), O_WRONLY | O_CREAT | O_EXCL | O_NOFOLLOW | O_CLOEXEC, 0600));
  if (!file) return fail_at(errno, "create", path);
  if (::fchmod(file.get(), 0600) != 0) return fail_at(errno, "protect", path);
  if (const int error = write_all(file.get(), content)) return fail_at(error, "write", path);
  if (::fsync(file.get()) != 0) return fail_at(errno, "write", path);
  return {};
}

fs::path replacement_of(const fs::path& path) {
  return path.parent_path() / fmt::format(".{}.new", path.filename().string());
}

// The size up to and including the last line end.
Result<off_t> whole_lines(int fd, const fs::path& path) {
  off_t size = ::lseek(fd, 0, SEEK_END);
  if (size < 0) return fail_at(errno, "read", path);
  char buffer[4096];
  while (size > 0) {
    const off_t start = std::max<off_t>(0, size - static_cast<off_t>(sizeof buffer));
    const ssize_t got = ::pread(fd, buffer, static_cast<std::size_t>(size - start), start);
    if (got <= 0) return fail_at(got < 0 ? errno : EIO, "read", path);
    const std::string_view block(buffer, static_cast<std::size_t>(got));
    const std::size_t end = block.rfind('\n');
    if (end != std::string_view::npos) return start + static_cast<off_t>(end) + 1;
    size = start;
  }
  return 0;
}

}  // namespace

Result<std::string> read_file(const fs::path& path, std::size_t limit) {
  // Nonblocking, so that a pipe in the file's place does not hang us.
  Fd file(::open(path.c_str(), O_RDONLY | O_CLOEXEC | O_NONBLOCK));
  struct stat status {};
  if (!file || ::fstat(file.get(), &status) != 0) return fail_at(errno, "read", path);
  if (!S_ISREG(status.st_mode)) {
    return fail(ErrorKind::permanent, fmt::format("{} is not a regular file", path.string()));
  }

  std::string content;
  char buffer[16384];
  while (content.size() <= limit) {
    const ssize_t got = ::read(file.get(), buffer, sizeof buffer);
    if (got < 0 && errno == EINTR) continue;
    if (got < 0) return fail_at(errno, "read", path);
    if (got == 0) return content;
    content.append(buffer, static_cast<std::size_t>(got));
  }
  return fail(ErrorKind::permanent, fmt::format("{} is larger than {} bytes", path.string(), limit));
}

Status make_directory(const fs::path& path) {
  if (::mkdir(path.c_str(), 0700) != 0) return fail_at(errno, "create", path);
  // Whatever the umask took away.
  if (::chmod(path.c_str(), 0700) != 0) return fail_at(errno, "protect", path);
  return {};
}

Status sync_directory(const fs::path& path) {
  const Fd directory(::open(path.c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC));
  if (!directory || ::fsync(directory.get()) != 0) return fail_at(errno, "write", path);
  return {};
}

Status rename_path(const fs::path& from, const fs::path& to) {
  if (::rename(from.c_str(), to.c_str()) != 0) return fail_at(errno, "replace", to);
  return {};
}

Status remove_tree(const fs::path& path) {
  std::error_code error;
  fs::remove_all(path, error);
  if (error) return fail_at(error.value(), "remove", path);
  return {};
}

Status append_line(const fs::path& path, std::string_view line) {
  Fd file(::open(path.c_str(), O_RDWR | O_CREAT | O_NOFOLLOW | O_CLOEXEC, 0600));
  if (!file) return fail_at(errno, "open", path);
  const auto end = whole_lines(file.get(), path);
  if (!end) return fail(end.error());
  if (::ftruncate(file.get(), *end) != 0 || ::lseek(file.get(), *end, SEEK_SET) < 0) {
    return fail_at(errno, "write", path);
  }

  if (const int error = write_all(file.get(), std::string(line) + "\n")) {
    // A part of a line is worse than none. Should this fail too, the next writer cuts it off.
    [[maybe_unused]] const int cut = ::ftruncate(file.get(), *end);
    return fail_at(error, "write", path);
  }
  if (::fdatasync(file.get()) != 0) return fail_at(errno, "write", path);
  return {};
}

Status prepare_replacement(const fs::path& path, std::string_view content) {
  // One writer a file at a time is the rule of the workspace's lock, so what lies here already was left by a crash.
  const fs::path temporary = replacement_of(path);
  if (::unlink(temporary.c_str()) != 0 && errno != ENOENT) return fail_at(errno, "replace", temporary);
  Status written = fill(temporary, content);
  if (!written) drop_replacement(path);
  return written;
}

Status commit_replacement(const fs::path& path) {
  if (Status renamed = rename_path(replacement_of(path), path); !renamed) {
    drop_replacement(path);
    return renamed;
  }
  return sync_directory(path.parent_path());
}

// What stays behind is replaced by the next writer.
void drop_replacement(const fs::path& path) { ::unlink(replacement_of(path).c_str()); }

Status write_atomically(const fs::path& path, std::string_view content) {
  if (Status prepared = prepare_replacement(path, content); !prepared) return prepared;
  return commit_replacement(path);
}

}  // namespace microagent::workspace
