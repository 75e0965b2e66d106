#include "audit/reader.h"

#include <fcntl.h>
#include <fmt/format.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cerrno>
#include <optional>
#include <vector>

#include "audit/lines.h"
#include "audit/log_files.h"

namespace microagent::audit {
namespace {

namespace fs = std::filesystem;

struct Identity {
  dev_t device = 0;
  ino_t inode = 0;
  bool operator==(const Identity&) const = default;
};

std::optional<Identity> identity_of(const fs::path& path) {
  struct stat info {};
  if (::lstat(path.c_str(), &info) != 0) return std::nullopt;
  return Identity{info.st_dev, info.st_ino};
}

std::optional<Identity> identity_of(const Fd& file) {
  struct stat info {};
  if (::fstat(file.get(), &info) != 0) return std::nullopt;
  return Identity{info.st_dev, info.st_ino};
}

// An empty descriptor where there is no such file any more.
Result<Fd> open_file(const fs::path& path) {
  Fd file(::open(path.c_str(), O_RDONLY | O_CLOEXEC | O_NOFOLLOW));
  if (file || errno == ENOENT) return file;
  return fail_errno(errno, fmt::format("cannot open {}", path.string()));
}

ssize_t read_at(const Fd& file, std::string& buffer, std::uint64_t offset) {
  ssize_t count = 0;
  do {
    count = ::pread(file.get(), buffer.data(), buffer.size(), static_cast<off_t>(offset));
  } while (count < 0 && errno == EINTR);
  return count;
}

// Where among `files` the open file stands; nothing where it is gone.
std::optional<std::size_t> place_of(const Fd& file, const std::vector<fs::path>& files) {
  const auto wanted = identity_of(file);
  for (std::size_t i = 0; wanted && i < files.size(); ++i) {
    if (identity_of(files[i]) == wanted) return i;
  }
  return std::nullopt;
}

// Behind the file that was read; the oldest that is left where that one was dropped meanwhile.
std::size_t place_behind(const Fd& file, const std::vector<fs::path>& files) {
  const auto place = place_of(file, files);
  return place ? *place + 1 : 0;
}

}  // namespace

Status Reader::read_on(const Sink& sink) {
  if (!file_) {
    if (Status opened = open_first(); !opened || !file_) return opened;
  }
  for (;;) {
    // Asked before the reading: a file that has another behind it grows no more, so what is read then is all of it.
    auto next = open_successor();
    if (!next) return fail(next.error());
    if (Status read = read_file(sink); !read) return read;
    if (!next->file) return {};
    file_ = std::move(next->file);
    name_ = std::move(next->name);
    offset_ = line_ = 0;
  }
}

Status Reader::open_first() {
  const auto files = log_files(log_);
  if (!files) return files.error().kind == ErrorKind::not_found ? Status() : fail(files.error());
  for (const fs::path& path : *files) {
    auto file = open_file(path);
    if (!file) return fail(file.error());
    if (!*file) continue;
    file_ = std::move(*file);
    name_ = path;
    return {};
  }
  return {};
}

// Empty where the file that is read is the last. Between the listing and the opening a rotation may give the name to
// another file: what was opened counts only if it still stands right behind.
Result<Reader::Successor> Reader::open_successor() {
  constexpr int kAttempts = 10;
  for (int attempt = 0; attempt < kAttempts; ++attempt) {
    const auto files = log_files(log_);
    if (!files) return fail(files.error());
    const std::size_t next = place_behind(file_, *files);
    if (next >= files->size()) return Successor{};
    auto file = open_file((*files)[next]);
    if (!file) return fail(file.error());
    if (!*file) return Successor{};
    const auto after = log_files(log_);
    if (!after) return fail(after.error());
    if (place_of(*file, *after) == place_behind(file_, *after)) return Successor{std::move(*file), (*files)[next]};
  }
  return Successor{};
}

Status Reader::read_file(const Sink& sink) {
  std::string buffer(4 * kMaxLine, '\0');
  for (;;) {
    const ssize_t count = read_at(file_, buffer, offset_);
    if (count < 0) return fail_errno(errno, fmt::format("cannot read {}", name_.string()));
    const std::string_view read(buffer.data(), static_cast<std::size_t>(count));
    std::size_t start = 0;
    for (std::size_t end = read.find('\n'); end != std::string_view::npos; end = read.find('\n', start)) {
      if (Status taken = take(read.substr(start, end - start), sink); !taken) return taken;
      start = end + 1;
    }
    offset_ += start;
    if (read.size() - start > kMaxLine) {
      return fail(ErrorKind::permanent, fmt::format("{}: line {} is too long to be ours", name_.string(), line_ + 1));
    }
    if (start == 0) return {};
  }
}

Status Reader::take(std::string_view line, const Sink& sink) {
  ++line_;
  const auto record = parse_record(line);
  if (!record) {
    return fail(ErrorKind::permanent, fmt::format("{}: line {} is not an audit record", name_.string(), line_));
  }
  if (last_seq_ != 0 && record->seq > last_seq_ + 1) missed_ += record->seq - last_seq_ - 1;
  last_seq_ = record->seq;
  return sink(*record, line);
}

}  // namespace microagent::audit
