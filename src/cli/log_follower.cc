#include "cli/log_follower.h"

#include <fcntl.h>
#include <fmt/format.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <utility>

namespace microagent::cli {
namespace {

namespace fs = std::filesystem;

// An empty descriptor where there is no file.
Result<Fd> open_log(const fs::path& path) {
  Fd file(::open(path.c_str(), O_RDONLY | O_CLOEXEC | O_NOFOLLOW));
  if (file || errno == ENOENT) return file;
  return fail_errno(errno, fmt::format("cannot read {}", path.string()));
}

// What there is up to the end of the file.
Status drain(const Fd& file, const fs::path& path, const LogSink& sink) {
  if (!file) return {};
  std::array<char, 64 * 1024> chunk;
  for (;;) {
    const ssize_t count = ::read(file.get(), chunk.data(), chunk.size());
    if (count < 0 && errno == EINTR) continue;
    if (count < 0) return fail_errno(errno, fmt::format("cannot read {}", path.string()));
    if (count == 0) return {};
    if (Status taken = sink({chunk.data(), static_cast<std::size_t>(count)}); !taken) return taken;
  }
}

// Whether the name leads to another file than the descriptor, or to a first one.
bool replaced(const Fd& file, const fs::path& path) {
  struct stat named {};
  struct stat held {};
  if (::stat(path.c_str(), &named) != 0) return false;
  return !file || ::fstat(file.get(), &held) != 0 || named.st_ino != held.st_ino || named.st_dev != held.st_dev;
}

}  // namespace

Status read_log(const fs::path& path, const LogSink& sink) {
  for (const fs::path& part : {fs::path(path.string() + ".1"), path}) {
    const auto file = open_log(part);
    if (!file) return fail(file.error());
    if (Status read = drain(*file, part, sink); !read) return read;
  }
  return {};
}

Status follow_log(const fs::path& path, const LogSink& sink, GrowthWatch& watch) {
  const fs::path older = path.string() + ".1";
  const auto before = open_log(older);
  if (!before) return fail(before.error());
  if (Status read = drain(*before, older, sink); !read) return read;

  auto file = open_log(path);
  for (;;) {
    if (!file) return fail(file.error());
    const auto over = watch.over();
    if (!over) return fail(over.error());
    if (Status read = drain(*file, path, sink); !read) return read;
    if (replaced(*file, path)) {
      file = open_log(path);
      continue;
    }
    if (*over) return {};
    watch.wait();
  }
}

Status LineSplitter::operator()(std::string_view part) {
  pending_ += part;
  std::size_t start = 0;
  for (std::size_t end = pending_.find('\n'); end != std::string::npos; end = pending_.find('\n', start)) {
    std::string_view line = std::string_view(pending_).substr(start, end - start);
    if (line.ends_with('\r')) line.remove_suffix(1);
    start = end + 1;
    if (Status taken = sink_(line); !taken) return taken;
  }
  pending_.erase(0, start);
  return {};
}

Status LineSplitter::finish() {
  if (pending_.empty()) return {};
  return sink_(std::exchange(pending_, {}));
}

std::string_view LineSkipper::operator()(std::string_view part) {
  while (left_ > 0) {
    const std::size_t end = part.find('\n');
    if (end == std::string_view::npos) return {};
    part.remove_prefix(end + 1);
    --left_;
  }
  return part;
}

Result<std::uint64_t> lines_before_last(const std::filesystem::path& path, std::uint64_t wanted) {
  std::uint64_t lines = 0;
  bool open = false;
  const Status read = read_log(path, [&](std::string_view part) {
    lines += static_cast<std::uint64_t>(std::ranges::count(part, '\n'));
    if (!part.empty()) open = part.back() != '\n';
    return Status();
  });
  if (!read) return fail(read.error());
  if (open) ++lines;
  return lines > wanted ? lines - wanted : 0;
}

}  // namespace microagent::cli
