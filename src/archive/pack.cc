#include "archive/pack.h"

#include <dirent.h>
#include <fcntl.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <memory>

#include "archive/paths.h"

namespace microagent::archive {
namespace {

constexpr std::size_t kChunk = 64 * 1024;

// The object behind an O_PATH descriptor, for reading. Cannot be another one than was looked at.
Fd reopen(const Fd& object, int flags) {
  const std::string path = "/proc/self/fd/" + std::to_string(object.get());
  return Fd(::open(path.c_str(), O_RDONLY | O_CLOEXEC | flags));
}

Result<std::vector<std::string>> names_in(Fd directory, const std::string& label) {
  const std::unique_ptr<DIR, int (*)(DIR*)> stream(::fdopendir(directory.get()), ::closedir);
  if (!stream) return fail_errno(errno, "cannot list " + label);
  (void)directory.release();  // the stream's now
  std::vector<std::string> names;
  for (;;) {
    errno = 0;
    const dirent* entry = ::readdir(stream.get());
    if (entry == nullptr) break;
    const std::string_view name(entry->d_name);
    if (name != "." && name != "..") names.emplace_back(name);
  }
  if (errno != 0) return fail_errno(errno, "cannot list " + label);
  std::ranges::sort(names, std::greater<>());  // the next one last
  return names;
}

}  // namespace

Packer::Packer(Fd parent, std::string root, const PackOptions& options, OnWarning on_warning)
    : parent_(std::move(parent)), root_(std::move(root)), options_(options), on_warning_(std::move(on_warning)) {
  pending_.emplace_back();
  chunk_.resize(kChunk);
}

Result<Packer> Packer::open(const std::string& path, const PackOptions& options, OnWarning on_warning) {
  SplitPath split = split_path(path);
  Fd parent(::open(split.directory.c_str(), O_PATH | O_DIRECTORY | O_CLOEXEC));
  if (!parent) return fail_errno(errno, "cannot open " + split.directory);
  struct stat status {};
  if (::fstatat(parent.get(), split.name.c_str(), &status, AT_SYMLINK_NOFOLLOW) != 0) {
    return fail_errno(errno, "cannot open " + path);
  }
  return Packer(std::move(parent), std::move(split.name), options, std::move(on_warning));
}

Result<ByteView> Packer::next() {
  if (file_) return next_content();
  blocks_.clear();
  while (blocks_.empty() && !pending_.empty()) {
    const std::string path = std::move(pending_.back());
    pending_.pop_back();
    if (Status packed = pack(path); !packed) return fail(packed.error());
  }
  if (blocks_.empty() && !std::exchange(ended_, true)) blocks_ = encode_end();
  return ByteView(reinterpret_cast<const std::uint8_t*>(blocks_.data()), blocks_.size());
}

Status Packer::pack(const std::string& path) {
  const std::string below = label(path);
  if (below.size() > kMaxPath - 1) return fail_errno(ENAMETOOLONG, "cannot pack " + below);
  const int follow = path.empty() && options_.follow ? 0 : O_NOFOLLOW;
  const Fd object = follow == 0 ? Fd(::openat(parent_.get(), root_.c_str(), O_PATH | O_CLOEXEC))
                                : open_beneath(parent_.get(), below, O_PATH | O_NOFOLLOW);
  if (!object && errno == ENOENT && !path.empty()) {
    on_warning_(below + " vanished");
    return {};
  }
  struct stat status {};
  if (!object || ::fstat(object.get(), &status) != 0) return fail_errno(errno, "cannot open " + below);
  Entry entry = describe(below, status);
  switch (status.st_mode & S_IFMT) {
    case S_IFREG: return pack_file(object, std::move(entry));
    case S_IFDIR: return pack_directory(object, path, entry);
    case S_IFLNK: return pack_link(object, std::move(entry));
    case S_IFIFO:
      entry.type = EntryType::fifo;
      blocks_ += encode_header(entry);
      return {};
    default: on_warning_(below + " is a socket or a device, left out"); return {};
  }
}

Status Packer::pack_file(const Fd& object, Entry entry) {
  file_ = reopen(object, 0);
  if (!file_) return fail_errno(errno, "cannot read " + entry.path);
  file_label_ = entry.path;
  left_ = entry.size;
  padding_ = padding_of(entry.size);
  blocks_ += encode_header(entry);
  if (left_ == 0) file_.reset();
  return {};
}

Status Packer::pack_link(const Fd& object, Entry entry) {
  std::array<char, kMaxPath + 1> target;
  const ssize_t size = ::readlinkat(object.get(), "", target.data(), target.size());
  if (size < 0) return fail_errno(errno, "cannot read the link " + entry.path);
  entry.type = EntryType::symlink;
  entry.link.assign(target.data(), std::min(static_cast<std::size_t>(size), kMaxPath));
  blocks_ += encode_header(entry);
  return {};
}

Status Packer::pack_directory(const Fd& object, const std::string& path, const Entry& entry) {
  Fd directory = reopen(object, O_DIRECTORY);
  if (!directory) return fail_errno(errno, "cannot list " + entry.path);
  auto names = names_in(std::move(directory), entry.path);
  if (!names) return fail(names.error());
  for (const std::string& name : *names) pending_.push_back(path.empty() ? name : path + "/" + name);
  blocks_ += encode_header(entry);
  return {};
}

// A file that has shrunk is filled up with zeros, one that has grown is cut: its header is out already.
Result<ByteView> Packer::next_content() {
  const std::size_t wanted = std::min<std::uint64_t>(left_, kChunk);
  ssize_t count = ::read(file_.get(), chunk_.data(), wanted);
  if (count < 0) return fail_errno(errno, "cannot read " + file_label_);
  if (count == 0) {
    on_warning_(file_label_ + " shrank while it was read");
    std::ranges::fill(chunk_, std::uint8_t{0});
    count = static_cast<ssize_t>(wanted);
  }
  std::size_t size = static_cast<std::size_t>(count);
  left_ -= size;
  if (left_ == 0) {
    file_.reset();
    chunk_.resize(kChunk + kBlock);
    std::fill_n(chunk_.begin() + count, padding_, std::uint8_t{0});
    size += padding_;
  }
  return ByteView(chunk_).first(size);
}

Entry Packer::describe(const std::string& path, const struct stat& status) const {
  Entry entry;
  entry.path = path;
  entry.type = S_ISDIR(status.st_mode) ? EntryType::directory : EntryType::file;
  entry.mode = status.st_mode & 07777;
  if (options_.keep_owner) {
    entry.uid = status.st_uid;
    entry.gid = status.st_gid;
  }
  entry.mtime = status.st_mtim.tv_sec;
  entry.size = S_ISREG(status.st_mode) ? static_cast<std::uint64_t>(status.st_size) : 0;
  return entry;
}

std::string Packer::label(const std::string& path) const { return path.empty() ? root_ : root_ + "/" + path; }

}  // namespace microagent::archive
