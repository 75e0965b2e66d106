#include "mediator/whole_file.h"

#include <unistd.h>

#include <algorithm>
#include <array>
#include <cerrno>

namespace microagent::mediator {

Result<std::string> read_whole(const Fd& fd, std::size_t limit, std::string_view what) {
  std::string content;
  std::array<char, 16 * 1024> chunk{};
  while (content.size() <= limit) {
    const ssize_t count = ::read(fd.get(), chunk.data(), std::min(chunk.size(), limit + 1 - content.size()));
    if (count < 0 && errno == EINTR) continue;
    if (count < 0) return fail_errno(errno, what);
    if (count == 0) break;
    content.append(chunk.data(), static_cast<std::size_t>(count));
  }
  return content;
}

Status write_whole(const Fd& fd, std::string_view content, std::string_view what) {
  while (!content.empty()) {
    const ssize_t count = ::write(fd.get(), content.data(), content.size());
    if (count < 0 && errno == EINTR) continue;
    if (count < 0) return fail_errno(errno, what);
    content.remove_prefix(static_cast<std::size_t>(count));
  }
  return {};
}

}  // namespace microagent::mediator
