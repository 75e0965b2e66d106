#include "init/files.h"

#include <fcntl.h>
#include <limits.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

#include <array>
#include <cerrno>
#include <cstdio>

#include "base/fd.h"
#include "base/write_all.h"
#include "init/text.h"

namespace microagent::init {
namespace {

Status write_whole(int fd, std::string_view content, const std::string& path) {
  const int error = write_all(fd, content);
  return error == 0 ? Status() : fail_errno(error, concat("cannot write ", path));
}

Result<std::string> read_whole(const Fd& file, const std::string& path, std::size_t limit) {
  std::string content;
  std::array<char, 4096> chunk;
  for (;;) {
    const ssize_t count = ::read(file.get(), chunk.data(), chunk.size());
    if (count < 0 && errno == EINTR) continue;
    if (count < 0) return fail_errno(errno, concat("cannot read ", path));
    if (count == 0) return content;
    content.append(chunk.data(), static_cast<std::size_t>(count));
    if (content.size() > limit) return fail_errno(EFBIG, concat("cannot read ", path));
  }
}

}  // namespace

Result<std::string> read_file(const std::string& path, std::size_t limit) {
  const Fd file(::open(path.c_str(), O_RDONLY | O_CLOEXEC));
  if (!file) return fail_errno(errno, concat("cannot read ", path));
  return read_whole(file, path, limit);
}

Result<std::string> read_regular_file(const std::string& path, std::size_t limit) {
  const Fd file(::open(path.c_str(), O_RDONLY | O_NONBLOCK | O_NOCTTY | O_CLOEXEC));
  if (!file) return fail_errno(errno, concat("cannot read ", path));
  struct stat facts {};
  if (::fstat(file.get(), &facts) != 0) return fail_errno(errno, concat("cannot read ", path));
  if (!S_ISREG(facts.st_mode)) return fail(ErrorKind::permanent, concat(path, " is no regular file"));
  return read_whole(file, path, limit);
}

Status write_file(const std::string& path, std::string_view content, mode_t mode) {
  const Fd file(::open(path.c_str(), O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, mode));
  if (!file) return fail_errno(errno, concat("cannot write ", path));
  return write_whole(file.get(), content, path);
}

Status write_new_file(const std::string& path, std::string_view content, mode_t mode) {
  if (Status removed = remove_file(path); !removed) return removed;
  const Fd file(::open(path.c_str(), O_WRONLY | O_CREAT | O_EXCL | O_NOFOLLOW | O_CLOEXEC, mode));
  if (!file) return fail_errno(errno, concat("cannot write ", path));
  Status written = write_whole(file.get(), content, path);
  if (!written) static_cast<void>(remove_file(path));
  return written;
}

Status replace_whole(const std::string& path, std::string_view content) {
  std::array<char, PATH_MAX> real{};
  const std::string target = ::realpath(path.c_str(), real.data()) ? std::string(real.data()) : path;
  if (check_file(target, content)) return {};
  struct stat facts {};
  const mode_t mode = ::stat(target.c_str(), &facts) == 0 ? facts.st_mode & 0777 : 0644;
  const std::string fresh = concat(target, ".microagent");
  if (Status written = write_new_file(fresh, content, mode); !written) return written;
  if (::rename(fresh.c_str(), target.c_str()) == 0) return {};
  return fail_errno(errno, concat("cannot replace ", target));
}

Status check_file(const std::string& path, std::string_view content) {
  // One byte more tells a longer file.
  const auto found = read_regular_file(path, content.size() + 1);
  if (!found) return fail(found.error());
  if (*found == content) return {};
  return fail(ErrorKind::permanent, concat(path, " does not hold what was written to it"));
}

Status remove_file(const std::string& path) {
  if (::unlink(path.c_str()) == 0 || errno == ENOENT || errno == ENOTDIR) return {};
  return fail_errno(errno, concat("cannot remove ", path));
}

bool is_directory(const std::string& path) {
  struct stat facts {};
  return ::stat(path.c_str(), &facts) == 0 && S_ISDIR(facts.st_mode);
}

bool is_file(const std::string& path) {
  struct stat facts {};
  return ::stat(path.c_str(), &facts) == 0 && S_ISREG(facts.st_mode);
}

bool is_link_to(const std::string& path, std::string_view target) {
  std::array<char, PATH_MAX> found{};
  const ssize_t size = ::readlink(path.c_str(), found.data(), found.size());
  return size > 0 && std::string_view(found.data(), static_cast<std::size_t>(size)) == target;
}

Status write_setting(std::string_view name, std::string_view value) {
  const std::string path = concat("/proc/sys/", name);
  const Fd file(::open(path.c_str(), O_WRONLY | O_CLOEXEC));
  if (!file) return fail_errno(errno, concat("cannot set ", name));
  return write_whole(file.get(), value, path);
}

Status make_directories(const std::string& path) {
  for (std::size_t end = path.find('/', 1);; end = path.find('/', end + 1)) {
    if (Status made = make_directory(path.substr(0, end).c_str(), 0755); !made) return made;
    if (end == std::string::npos) return {};
  }
}

Status make_directory(const char* path, mode_t mode) {
  if (::mkdir(path, mode) == 0 || errno == EEXIST) return {};
  return fail_errno(errno, concat("cannot make the directory ", path));
}

}  // namespace microagent::init
