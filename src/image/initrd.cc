#include "image/initrd.h"

#include <fcntl.h>
#include <fmt/format.h>
#include <sys/sendfile.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cerrno>
#include <string_view>

#include "base/fd.h"
#include "base/write_all.h"

namespace microagent::image {
namespace {

namespace fs = std::filesystem;

Status write_whole(int fd, std::string_view bytes) {
  const int error = write_all(fd, bytes);
  return error == 0 ? Status() : fail_errno(error, "cannot write the initial file system");
}

Result<std::size_t> copy_all(int from, int to) {
  constexpr std::size_t kChunk = 64 * 1024 * 1024;
  std::size_t copied = 0;
  for (;;) {
    const ssize_t count = ::sendfile(to, from, nullptr, kChunk);
    if (count < 0 && errno == EINTR) continue;
    if (count < 0) return fail_errno(errno, "cannot write the initial file system");
    if (count == 0) return copied;
    copied += static_cast<std::size_t>(count);
  }
}

Status compose(const fs::path& base, std::span<const CpioEntry> entries, int out) {
  const Fd in(::open(base.c_str(), O_RDONLY | O_CLOEXEC));
  if (!in) return fail_errno(errno, fmt::format("cannot read {}", base.string()));
  const auto copied = copy_all(in.get(), out);
  if (!copied) return fail(copied.error());
  // The kernel skips zeros between archives and wants the next one to begin at a multiple of 4.
  const std::string padding((4 - *copied % 4) % 4, '\0');
  return write_whole(out, padding + encode_cpio(entries));
}

}  // namespace

Status write_initrd(const fs::path& base, std::span<const CpioEntry> entries, const fs::path& destination) {
  const fs::path unfinished = destination.string() + ".new";
  const Fd out(::open(unfinished.c_str(), O_WRONLY | O_CREAT | O_TRUNC | O_NOFOLLOW | O_CLOEXEC, 0600));
  if (!out) return fail_errno(errno, fmt::format("cannot write {}", unfinished.string()));
  Status composed = compose(base, entries, out.get());
  if (composed && ::rename(unfinished.c_str(), destination.c_str()) != 0) {
    composed = fail_errno(errno, fmt::format("cannot write {}", destination.string()));
  }
  if (!composed) ::unlink(unfinished.c_str());
  return composed;
}

}  // namespace microagent::image
