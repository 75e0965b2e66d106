#include "audit/lines.h"

#include <fmt/format.h>
#include <unistd.h>

#include <cerrno>
#include <string>
#include <vector>

namespace microagent::audit {
namespace {

ssize_t read_at(int fd, std::vector<char>& chunk, std::uint64_t offset) {
  ssize_t count = 0;
  do {
    count = ::pread(fd, chunk.data(), chunk.size(), static_cast<off_t>(offset));
  } while (count < 0 && errno == EINTR);
  return count;
}

}  // namespace

Result<LineTotals> for_each_line(int fd, std::string_view name,
                                 const std::function<Status(std::uint64_t, std::string_view)>& on_line) {
  std::vector<char> chunk(kMaxLine);
  std::string pending;
  LineTotals totals;
  for (std::uint64_t offset = 0;;) {
    const ssize_t count = read_at(fd, chunk, offset);
    if (count < 0) return fail_errno(errno, fmt::format("cannot read {}", name));
    if (count == 0) break;
    offset += static_cast<std::uint64_t>(count);
    pending.append(chunk.data(), static_cast<std::size_t>(count));

    std::size_t start = 0;
    for (std::size_t end = pending.find('\n'); end != std::string::npos; end = pending.find('\n', start)) {
      const Status status = on_line(totals.lines + 1, std::string_view(pending).substr(start, end - start));
      if (!status) return fail(status.error());
      ++totals.lines;
      totals.whole_bytes += end - start + 1;
      start = end + 1;
    }
    pending.erase(0, start);
    if (pending.size() > kMaxLine) {
      return fail(ErrorKind::permanent, fmt::format("{}: line {} is too long to be ours", name, totals.lines + 1));
    }
  }
  totals.torn_bytes = pending.size();
  return totals;
}

}  // namespace microagent::audit
