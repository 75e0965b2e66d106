#include "archive/unpack.h"

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <array>
#include <cerrno>

#include "archive/paths.h"

namespace microagent::archive {
namespace {

constexpr std::uint32_t kSpecialModes = S_ISUID | S_ISGID;

using Times = std::array<timespec, 2>;  // of the last access and of the last change, as utimensat(2) takes them

Times times_of(const Entry& entry) {
  const timespec time{static_cast<time_t>(entry.mtime), 0};
  return {time, time};
}

std::string_view first_component(std::string_view path) { return path.substr(0, path.find('/')); }

// The components joined by single slashes, without "."; nothing for what would lead upwards or is absolute.
std::optional<std::string> normalise(std::string_view path) {
  if (path.starts_with('/')) return std::nullopt;
  std::string normal;
  while (!path.empty()) {
    const std::string_view component = first_component(path);
    path.remove_prefix(std::min(path.size(), component.size() + 1));
    if (component == "..") return std::nullopt;
    if (component.empty() || component == ".") continue;
    if (!normal.empty()) normal.push_back('/');
    normal.append(component);
  }
  return normal;
}

// Whether it is content without a name, or of it.
bool is_nameless(std::string_view path) { return path == "." || path.starts_with("./"); }

bool is_below(std::string_view path, std::string_view directory) {
  if (directory.empty() || path == directory) return true;
  return path.size() > directory.size() && path.starts_with(directory) && path[directory.size()] == '/';
}

bool is_directory(int directory, const std::string& name) {
  struct stat status {};
  return ::fstatat(directory, name.c_str(), &status, AT_SYMLINK_NOFOLLOW) == 0 && S_ISDIR(status.st_mode);
}

Result<Fd> open_directory(const std::string& path) {
  Fd directory(::open(path.c_str(), O_PATH | O_DIRECTORY | O_CLOEXEC));
  if (!directory) return fail_errno(errno, "cannot open the directory " + path);
  return directory;
}

}  // namespace

Status Unpacker::outcome(bool went_well) const {
  if (went_well) return {};
  if (!status_) return status_;
  return fail(ErrorKind::permanent, std::string("no proper tar archive: ").append(to_string(parser_.error())));
}

Status Unpacker::feed(ByteView bytes) { return outcome(parser_.feed(bytes)); }

Status Unpacker::finish() {
  if (Status whole = outcome(parser_.finish()); !whole) return whole;
  if (!base_) return fail(ErrorKind::permanent, "the archive is empty");
  status_ = leave_directories({});
  if (!status_ || open_directories_.empty()) return status_;
  // The base itself is the only one left.
  const Fd base = open_below_base(".", O_RDONLY | O_DIRECTORY);
  return base ? settle(base, open_directories_.back().entry) : Status();
}

bool Unpacker::on_entry(const Entry& entry) {
  if (!base_) status_ = check_root(entry.path);
  if (!base_ && status_) status_ = begin(entry);
  if (!status_) return false;
  auto path = place_below_base(entry.path);
  if (path) status_ = make(entry, *path);
  else status_ = fail(path.error());
  return status_.has_value();
}

// Finds out what the destination is.
Status Unpacker::begin(const Entry& first) {
  struct stat status {};
  const bool exists = ::stat(destination_.c_str(), &status) == 0;
  const bool nameless = is_nameless(first.path);
  if (!exists && nameless) {
    if (::mkdir(destination_.c_str(), 0755) != 0) return fail_errno(errno, "cannot make the directory " + destination_);
    base_made_ = true;
  }
  if (nameless || (exists && S_ISDIR(status.st_mode))) {
    auto base = open_directory(destination_);
    if (!base) return fail(base.error());
    base_ = std::move(*base);
    return {};
  }
  if (exists && first.type == EntryType::directory) {
    return fail(ErrorKind::permanent, destination_ + " is no directory, so none can be put there");
  }
  return begin_renamed(first);
}

Status Unpacker::begin_renamed(const Entry& first) {
  if (destination_.ends_with('/') && first.type != EntryType::directory) {
    return fail(ErrorKind::not_found, "there is no directory " + destination_);
  }
  SplitPath split = split_path(destination_);
  auto base = open_directory(split.directory);
  if (!base) return fail(base.error());
  base_ = std::move(*base);
  renamed_from_ = first_component(first.path);
  renamed_to_ = std::move(split.name);
  return {};
}

Status Unpacker::check_root(const std::string& path) const {
  if (!options_.root) return {};
  const bool asked_for = *options_.root == "." ? is_nameless(path) : first_component(path) == *options_.root;
  if (asked_for) return {};
  return fail(ErrorKind::permanent, "the archive holds what was not asked for: " + path);
}

// An entry's path below the base, renamed where the destination has a name of its own.
Result<std::string> Unpacker::place_below_base(const std::string& path) const {
  const auto normal = normalise(path);
  if (!normal) return fail(ErrorKind::permanent, "the archive wants to leave its directory: " + path);
  if (Status asked_for = check_root(path); !asked_for) return fail(asked_for.error());
  if (renamed_from_.empty()) return *normal;
  if (first_component(*normal) != renamed_from_) {
    return fail(ErrorKind::permanent, "the archive holds more than " + renamed_from_ + ": " + path);
  }
  return renamed_to_ + normal->substr(renamed_from_.size());
}

Fd Unpacker::open_below_base(const std::string& path, int flags) const {
  return open_beneath(base_.get(), path, flags, options_.root ? Links::none : Links::beneath);
}

// Makes what is missing of the directories that lead to `path`.
void Unpacker::make_parents(const std::string& path) const {
  for (std::size_t slash = path.find('/'); slash != std::string::npos; slash = path.find('/', slash + 1)) {
    const SplitPath split = split_path(std::string_view(path).substr(0, slash));
    const Fd parent = open_below_base(split.directory, O_PATH | O_DIRECTORY);
    // What fails here is told by who opens the parent.
    if (parent) (void)::mkdirat(parent.get(), split.name.c_str(), 0755);
  }
}

Result<Unpacker::Place> Unpacker::find_place(const std::string& path) const {
  if (path.empty()) return Place{open_below_base(".", O_PATH | O_DIRECTORY), {}};
  const SplitPath split = split_path(path);
  Place place{open_below_base(split.directory, O_PATH | O_DIRECTORY), split.name};
  if (!place.directory && errno == ENOENT) {
    make_parents(path);
    place.directory = open_below_base(split.directory, O_PATH | O_DIRECTORY);
  }
  if (!place.directory && errno == ELOOP) {
    return fail(ErrorKind::permanent, "a symbolic link lies on the way to " + path);
  }
  if (!place.directory && errno == EXDEV) {
    return fail(ErrorKind::permanent, "a symbolic link leads out of the directory: " + path);
  }
  if (!place.directory) return fail_errno(errno, "cannot make " + path);
  return place;
}

Status Unpacker::make(const Entry& entry, const std::string& path) {
  if (Status left = leave_directories(path); !left) return left;
  const auto place = find_place(path);
  if (!place) return fail(place.error());
  if (place->name.empty() && entry.type != EntryType::directory) {
    return fail(ErrorKind::permanent, "the archive's root is no directory");
  }
  entry_ = entry;
  path_ = path;
  if (entry.type == EntryType::directory) return make_directory(*place, path, entry);
  if (Status cleared = clear_place(*place, path); !cleared) return cleared;
  switch (entry.type) {
    case EntryType::file: return make_file(*place, path);
    case EntryType::symlink: return make_link(*place, path, entry);
    case EntryType::hardlink: return make_hard_link(*place, path, entry);
    default: break;
  }
  if (::mkfifoat(place->directory.get(), place->name.c_str(), entry.mode & 0777) == 0) return {};
  return fail_errno(errno, "cannot make the pipe " + path);
}

Status Unpacker::clear_place(const Place& place, const std::string& path) const {
  if (::unlinkat(place.directory.get(), place.name.c_str(), 0) == 0 || errno == ENOENT) return {};
  // What POSIX says for a directory is EPERM, what Linux says is EISDIR.
  if (errno == EISDIR || errno == EPERM) return fail_errno(EISDIR, "cannot replace " + path);
  return fail_errno(errno, "cannot replace " + path);
}

Status Unpacker::make_file(const Place& place, const std::string& path) {
  file_.reset(
      ::openat(place.directory.get(), place.name.c_str(), O_WRONLY | O_CREAT | O_EXCL | O_NOFOLLOW | O_CLOEXEC, 0600));
  if (!file_) return fail_errno(errno, "cannot make " + path);
  return {};
}

Status Unpacker::make_directory(const Place& place, const std::string& path, const Entry& entry) {
  const bool is_base = place.name.empty();
  const bool made = is_base ? base_made_ : ::mkdirat(place.directory.get(), place.name.c_str(), 0700) == 0;
  const int error = errno;
  if (made) open_directories_.push_back({path, entry});
  if (made || is_base || (error == EEXIST && is_directory(place.directory.get(), place.name))) return {};
  return fail_errno(error, "cannot make the directory " + path);
}

Status Unpacker::make_link(const Place& place, const std::string& path, const Entry& entry) {
  if (::symlinkat(entry.link.c_str(), place.directory.get(), place.name.c_str()) != 0) {
    return fail_errno(errno, "cannot make the link " + path);
  }
  const int directory = place.directory.get();
  const char* name = place.name.c_str();
  const bool owned =
      !options_.keep_owner || ::fchownat(directory, name, entry.uid, entry.gid, AT_SYMLINK_NOFOLLOW) == 0;
  const Times times = times_of(entry);
  if (owned && ::utimensat(directory, name, times.data(), AT_SYMLINK_NOFOLLOW) == 0) return {};
  return fail_errno(errno, "cannot set owner or time of the link " + path);
}

// To another file of the archive; never to what a link there points to.
Status Unpacker::make_hard_link(const Place& place, const std::string& path, const Entry& entry) {
  if (options_.root) return fail(ErrorKind::permanent, "the archive holds a hard link, which none may: " + path);
  const auto target = place_below_base(entry.link);
  if (!target) return fail(target.error());
  const Fd object = open_below_base(*target, O_PATH | O_NOFOLLOW);
  struct stat status {};
  if (!object || ::fstat(object.get(), &status) != 0)
    return fail_errno(errno, "cannot link " + path + " to " + *target);
  if (!S_ISREG(status.st_mode)) return fail_errno(EPERM, "cannot link " + path + " to " + *target);
  const std::string source = "/proc/self/fd/" + std::to_string(object.get());
  if (::linkat(AT_FDCWD, source.c_str(), place.directory.get(), place.name.c_str(), AT_SYMLINK_FOLLOW) == 0) return {};
  return fail_errno(errno, "cannot link " + path + " to " + *target);
}

bool Unpacker::on_content(ByteView bytes) {
  while (!bytes.empty()) {
    const ssize_t count = ::write(file_.get(), bytes.data(), bytes.size());
    if (count < 0 && errno == EINTR) continue;
    if (count < 0) {
      status_ = fail_errno(errno, "cannot write " + path_);
      return false;
    }
    bytes = bytes.subspan(static_cast<std::size_t>(count));
  }
  return true;
}

bool Unpacker::on_entry_end() {
  if (!file_) return true;
  status_ = settle(file_, entry_);
  file_.reset();
  return status_.has_value();
}

// Settles the directories that the stream has left: those that `next_path` does not lie in. The base itself stays.
Status Unpacker::leave_directories(std::string_view next_path) {
  while (!open_directories_.empty() && !open_directories_.back().path.empty() &&
         (next_path.empty() || !is_below(next_path, open_directories_.back().path))) {
    const OpenDirectory left = std::move(open_directories_.back());
    open_directories_.pop_back();
    const Fd directory = open_below_base(left.path, O_RDONLY | O_DIRECTORY | O_NOFOLLOW);
    // The stream itself may have replaced it, which is its own loss.
    if (!directory) continue;
    if (Status settled = settle(directory, left.entry); !settled) return settled;
  }
  return {};
}

Status Unpacker::settle(const Fd& object, const Entry& entry) const {
  const std::uint32_t mode = options_.special_modes ? entry.mode : entry.mode & ~kSpecialModes;
  const Times times = times_of(entry);
  // The owner first: giving a file away takes its special modes.
  const bool owned = !options_.keep_owner || ::fchown(object.get(), entry.uid, entry.gid) == 0;
  if (owned && ::fchmod(object.get(), mode) == 0 && ::futimens(object.get(), times.data()) == 0) return {};
  return fail_errno(errno, "cannot set owner, mode or time of " + entry.path);
}

}  // namespace microagent::archive
