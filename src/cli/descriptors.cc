#include "cli/descriptors.h"

#include <limits.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>

namespace microagent::cli {

Result<std::optional<std::size_t>> InputSource::read(MutableBytes room) {
  const ssize_t count = ::read(fd_, room.data(), room.size());
  if (count < 0 && (errno == EINTR || errno == EAGAIN)) return std::nullopt;
  return static_cast<std::size_t>(std::max<ssize_t>(count, 0));
}

// pipe(7): a pipe with room has room for PIPE_BUF bytes. A regular file always takes everything.
OutputSink::Outlet::Outlet(int descriptor) : fd(descriptor), step(PIPE_BUF) {
  struct stat status {};
  if (::fstat(fd, &status) == 0 && S_ISREG(status.st_mode)) step = wire::kMaxFrame;
}

Result<std::size_t> OutputSink::take(wire::FrameType stream, ByteView bytes) {
  const Outlet& outlet = of(stream);
  const ssize_t written = ::write(outlet.fd, bytes.data(), std::min(bytes.size(), outlet.step));
  if (written >= 0) return static_cast<std::size_t>(written);
  if (errno == EINTR || errno == EAGAIN) return 0;
  return fail_errno(errno, "cannot write the command's output");
}

}  // namespace microagent::cli
