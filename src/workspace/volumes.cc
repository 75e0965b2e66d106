#include "workspace/volumes.h"

#include <fcntl.h>
#include <fmt/format.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>

#include "workspace/files.h"
#include "workspace/lock.h"
#include "workspace/state.h"

namespace microagent::workspace {
namespace {

namespace fs = std::filesystem;

constexpr std::string_view kSuffix = ".ext4";
constexpr std::size_t kMaxHolder = 256;

fs::path directory_of(const fs::path& root) { return root / "volumes"; }

fs::path lock_of(const fs::path& root, std::string_view name) {
  return directory_of(root) / fmt::format("{}.lock", name);
}

// Where a volume lies while it is being removed.
fs::path removed_of(const fs::path& root, std::string_view name) {
  return directory_of(root) / fmt::format(".{}.removed", name);
}

// Of whom the lock's file was last; empty where nobody was.
std::string holder_of(const fs::path& root, std::string_view name) {
  const auto text = read_file(lock_of(root, name), kMaxHolder);
  return text && check_name(*text) ? *text : std::string();
}

tl::unexpected<Error> no_such_volume(std::string_view name) {
  return fail(ErrorKind::not_found, fmt::format("there is no volume \"{}\"", name),
              "`microagent volume ls` shows those that exist");
}

tl::unexpected<Error> attached(const fs::path& root, std::string_view name) {
  const std::string holder = holder_of(root, name);
  const std::string whose = holder.empty() ? "in use" : fmt::format("attached to the running workspace \"{}\"", holder);
  return fail(ErrorKind::conflict, fmt::format("volume \"{}\" is {}", name, whose),
              holder.empty() ? "try again" : fmt::format("stop it first: microagent stop {}", holder));
}

Status note_holder(const Fd& lock, std::string_view workspace) {
  if (::ftruncate(lock.get(), 0) == 0 &&
      ::pwrite(lock.get(), workspace.data(), workspace.size(), 0) == static_cast<ssize_t>(workspace.size())) {
    return {};
  }
  return fail_errno(errno, "cannot write a volume's lock");
}

bool declares(const Manifest& manifest, std::string_view name) {
  return std::ranges::any_of(manifest.volumes, [&](const Volume& volume) { return volume.name == name; });
}

// The workspaces that declare a volume. One whose record cannot be read might, so that is an error.
Result<std::vector<std::string>> declarers(const Store& store, std::string_view name) {
  const auto names = store.list();
  if (!names) return names;
  std::vector<std::string> found;
  for (const std::string& workspace : *names) {
    const auto manifest = store.load_manifest(workspace);
    if (!manifest && manifest.error().kind == ErrorKind::not_found) continue;  // deleted meanwhile
    if (!manifest) return fail(manifest.error());
    if (declares(*manifest, name)) found.push_back(workspace);
  }
  return found;
}

tl::unexpected<Error> declared(std::string_view workspace, std::string_view name) {
  return fail(ErrorKind::conflict, fmt::format("workspace \"{}\" declares volume \"{}\"", workspace, name),
              fmt::format("delete it first: microagent delete {}", workspace));
}

// Neither by a workspace nor by one that is being created, in this order: one is to become the other.
Status check_undeclared(const Store& store, std::string_view name) {
  const auto newcomers = store.load_newcomers();
  if (!newcomers) return fail(newcomers.error());
  for (const Manifest& manifest : *newcomers) {
    if (declares(manifest, name)) return declared(manifest.name, name);
  }
  const auto found = declarers(store, name);
  if (!found) return fail(found.error());
  return found->empty() ? Status() : declared(found->front(), name);
}

}  // namespace

fs::path volume_file(const fs::path& root, std::string_view name) {
  return directory_of(root) / fmt::format("{}{}", name, kSuffix);
}

Result<Fd> attach_volume(const fs::path& root, std::string_view name, std::string_view workspace) {
  std::error_code error;
  if (!fs::exists(volume_file(root, name), error)) {
    return fail(ErrorKind::not_found, fmt::format("there is no volume \"{}\"", name),
                fmt::format("make it: microagent volume create {}", name));
  }
  auto lock = try_lock_file(lock_of(root, name));
  if (!lock) return lock;
  if (!*lock) return attached(root, name);
  if (Status noted = note_holder(*lock, workspace); !noted) return fail(noted.error());
  return lock;
}

Result<bool> ensure_volume(const fs::path& root, std::string_view name, const MakeVolume& make) {
  std::error_code error;
  const fs::path file = volume_file(root, name);
  if (fs::exists(file, error)) return false;
  if (!fs::exists(directory_of(root), error)) {
    const Status made = make_directory(directory_of(root));
    if (!made && !fs::exists(directory_of(root), error)) return fail(made.error());
  }
  // No workspace has what is not there: whoever holds the lock makes the volume, or is about to have removed it.
  const auto lock = lock_file(lock_of(root, name));
  if (!lock) return fail(lock.error());
  if (fs::exists(file, error)) return false;
  const fs::path unfinished = directory_of(root) / fmt::format(".{}.new", name);
  // What commands that were killed have left.
  for (const fs::path& remains : {unfinished, removed_of(root, name)}) {
    if (Status cleared = remove_tree(remains); !cleared) return fail(cleared.error());
  }
  Status done = make(unfinished);
  if (done) done = rename_path(unfinished, file);
  if (!done) (void)remove_tree(unfinished);
  if (done) done = sync_directory(directory_of(root));
  if (!done) return fail(done.error());
  return true;
}

Result<std::vector<VolumeRecord>> list_volumes(const Store& store) {
  std::vector<VolumeRecord> records;
  std::error_code error;
  fs::directory_iterator entry(directory_of(store.root()), error);
  if (error == std::errc::no_such_file_or_directory) return records;
  for (const fs::directory_iterator end; !error && entry != end; entry.increment(error)) {
    const std::string file = entry->path().filename().string();
    if (!file.ends_with(kSuffix)) continue;
    const std::string name = file.substr(0, file.size() - kSuffix.size());
    struct stat facts {};
    if (!is_volume_name(name) || ::stat(entry->path().c_str(), &facts) != 0) continue;
    VolumeRecord record{
        name, static_cast<std::uint64_t>(facts.st_size), static_cast<std::uint64_t>(facts.st_blocks) * 512, {}};
    const auto locked = is_file_locked(lock_of(store.root(), name));
    if (!locked) return fail(locked.error());
    if (*locked) record.attached_to = holder_of(store.root(), name);
    auto found = declarers(store, name);
    if (!found) return fail(found.error());
    record.declared_by = std::move(*found);
    records.push_back(std::move(record));
  }
  if (error) return fail_errno(error.value(), fmt::format("cannot read {}", directory_of(store.root()).string()));
  std::ranges::sort(records, {}, &VolumeRecord::name);
  return records;
}

Status remove_volume(const Store& store, std::string_view name) {
  std::error_code error;
  const fs::path file = volume_file(store.root(), name);
  if (!is_volume_name(name) || !fs::exists(file, error)) return no_such_volume(name);
  const auto lock = try_lock_file(lock_of(store.root(), name));
  if (!lock) return fail(lock.error());
  if (!*lock) return attached(store.root(), name);
  if (Status free = check_undeclared(store, name); !free) return free;
  // Out of the way before it is asked again: a workspace that is created meanwhile is seen now, or finds no volume and
  // makes one.
  const fs::path removed = removed_of(store.root(), name);
  if (Status moved = rename_path(file, removed); !moved) return moved;
  if (Status free = check_undeclared(store, name); !free) {
    const Status restored = rename_path(removed, file);
    return restored ? free : restored;
  }
  // The lock's file stays: another command may be about to lock it.
  return remove_tree(removed);
}

}  // namespace microagent::workspace
