#include "archive/paths.h"

#include <fcntl.h>
#include <linux/openat2.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <cerrno>

namespace microagent::archive {

SplitPath split_path(std::string_view path) {
  while (path.size() > 1 && path.ends_with('/')) path.remove_suffix(1);
  const std::size_t slash = path.rfind('/');
  if (path.empty()) return {".", "."};
  if (path == "/" || path == ".." || path.ends_with("/..")) return {std::string(path), "."};
  if (slash == std::string_view::npos) return {".", std::string(path)};
  const std::string_view directory = slash == 0 ? std::string_view("/") : path.substr(0, slash);
  return {std::string(directory), std::string(path.substr(slash + 1))};
}

Fd open_beneath(int directory, const std::string& path, int flags, Links links) {
  open_how how{};
  how.flags = static_cast<std::uint64_t>(flags | O_CLOEXEC);
  how.resolve = RESOLVE_BENEATH | RESOLVE_NO_MAGICLINKS | (links == Links::none ? RESOLVE_NO_SYMLINKS : 0);
  constexpr int kTries = 100;
  long fd = -1;
  for (int i = 0; i < kTries; ++i) {
    fd = ::syscall(SYS_openat2, directory, path.c_str(), &how, sizeof how);
    // The kernel could not make sure, since something was renamed meanwhile.
    if (fd >= 0 || (errno != EAGAIN && errno != EINTR)) break;
  }
  return Fd(static_cast<int>(fd));
}

}  // namespace microagent::archive
