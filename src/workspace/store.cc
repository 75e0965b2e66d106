#include <fmt/format.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>

#include "base/clock.h"
#include "workspace/files.h"
#include "workspace/json_fields.h"
#include "workspace/lock.h"
#include "workspace/state.h"

namespace microagent::workspace {
namespace {

namespace fs = std::filesystem;

constexpr std::size_t kMaxManifest = 64 * 1024 * 1024;  // 100,000 rules and their places take some 15 MiB
constexpr const char* kManifestFile = "workspace.json";

// Under the lock there is one writer, so these names are free, or left by a crash. No workspace's name has a dot.
fs::path newcomer(const fs::path& directory) {
  return directory.parent_path() / fmt::format(".{}.new", directory.filename().string());
}
fs::path leaver(const fs::path& directory) {
  return directory.parent_path() / fmt::format(".{}.old", directory.filename().string());
}

Status fill_newcomer(const fs::path& directory, const Manifest& manifest) {
  if (Status made = make_directory(directory); !made) return made;
  const nlohmann::json event = to_json(Event{State::prepared, {}, manifest.created_at});
  if (Status written = append_line(directory / kEventsFile, dump(event)); !written) return written;
  return write_atomically(directory / kManifestFile, to_json(manifest).dump(2) + "\n");
}

Result<Manifest> read_manifest(const fs::path& path) {
  const auto text = read_file(path, kMaxManifest);
  if (!text) return fail(text.error());
  const auto json = parse_json(*text, path.string());
  if (!json) return fail(json.error());
  return manifest_from_json(*json, path.string());
}

// The workspace that a newcomer or a leaver is, or was to become; empty for anything else.
std::string name_of_leftover(const fs::path& path) {
  const std::string file = path.filename().string();
  if (file.size() < 6 || !file.starts_with('.') || !(file.ends_with(".new") || file.ends_with(".old"))) return {};
  const std::string name = file.substr(1, file.size() - 5);
  return check_name(name) ? name : std::string();
}

tl::unexpected<Error> no_such_workspace(std::string_view name) {
  return fail(ErrorKind::not_found, fmt::format("there is no workspace \"{}\"", name),
              "`microagent list` shows those that exist");
}

tl::unexpected<Error> taken(std::string_view name, bool runs) {
  return fail(ErrorKind::conflict,
              fmt::format("there is a workspace \"{}\" already{}", name, runs ? ", and it is in use" : ""),
              fmt::format("choose another name, or `microagent delete {}{}` first", runs ? "--force " : "", name));
}

}  // namespace

fs::path Store::directory(std::string_view name) const { return root_ / "workspaces" / name; }

Result<std::vector<std::string>> Store::list() const {
  std::vector<std::string> names;
  std::error_code error;
  for (fs::directory_iterator entry(root_ / "workspaces", error), end; !error && entry != end; entry.increment(error)) {
    const std::string name = entry->path().filename().string();
    if (check_name(name)) names.push_back(name);
  }
  if (error) return fail_errno(error.value(), fmt::format("cannot read {}", (root_ / "workspaces").string()));
  std::sort(names.begin(), names.end());
  return names;
}

bool Store::exists(std::string_view name) const {
  std::error_code error;
  return check_name(name) && fs::exists(fs::symlink_status(directory(name), error));
}

fs::path Store::lock_of(std::string_view name, std::string_view kind) const {
  return root_ / "locks" / fmt::format("{}.{}", name, kind);
}

Result<Lock> Store::try_lock(std::string_view name) const {
  auto file = try_lock_file(lock_of(name));
  if (!file) return fail(file.error());
  if (!*file) {
    return fail(ErrorKind::conflict,
                fmt::format("workspace \"{}\" is running, or another command is at work on it", name),
                fmt::format("see `microagent status {}`", name));
  }
  return Lock{std::move(*file)};
}

Result<bool> Store::locked(std::string_view name) const { return is_file_locked(lock_of(name)); }

Result<Manifest> Store::load_manifest(std::string_view name) const {
  if (Status named = check_name(name); !named) return fail(named.error());
  if (!exists(name)) return no_such_workspace(name);
  const fs::path path = directory(name) / kManifestFile;
  auto manifest = read_manifest(path);
  if (!manifest && manifest.error().kind == ErrorKind::not_found)
    return fail(foreign_file(path.string(), "is missing"));
  if (manifest && manifest->name != name) {
    return fail(foreign_file(path.string(), fmt::format("belongs to a workspace \"{}\"", manifest->name)));
  }
  return manifest;
}

Result<std::vector<Manifest>> Store::load_newcomers() const {
  const auto paths = leftovers();
  if (!paths) return fail(paths.error());
  std::vector<Manifest> found;
  for (const fs::path& path : *paths) {
    const std::string name = name_of_leftover(path);
    const auto at_work = locked(name);
    if (!at_work) return fail(at_work.error());
    if (!*at_work || path != newcomer(directory(name))) continue;
    auto manifest = read_manifest(path / kManifestFile);
    if (manifest) found.push_back(std::move(*manifest));
    else if (manifest.error().kind != ErrorKind::not_found) return fail(manifest.error());
  }
  return found;
}

Status Store::create(const Manifest& manifest, const Furnish& furnish) const {
  if (Status named = check_name(manifest.name); !named) return named;
  const auto lock = try_lock(manifest.name);
  if (exists(manifest.name)) return taken(manifest.name, !lock);
  if (!lock) return fail(lock.error());
  if (Status free = check_unsupervised(manifest.name); !free) return free;
  const fs::path place = directory(manifest.name);

  if (Status cleared = remove_tree(newcomer(place)); !cleared) return cleared;
  Status done = fill_newcomer(newcomer(place), manifest);
  if (done && furnish) done = furnish(newcomer(place));
  if (done) done = rename_path(newcomer(place), place);
  if (!done) {
    // The first error is the one to tell; what stays behind is cleared by the next create.
    (void)remove_tree(newcomer(place));
    return done;
  }
  return sync_directory(place.parent_path());
}

Status Store::replace_manifest(const Manifest& manifest) const {
  if (!exists(manifest.name)) return no_such_workspace(manifest.name);
  return write_atomically(directory(manifest.name) / kManifestFile, to_json(manifest).dump(2) + "\n");
}

Result<Lock> Store::lock_changes(std::string_view name) const {
  if (Status named = check_name(name); !named) return fail(named.error());
  auto file = try_lock_file(lock_of(name, "changes"));
  if (!file) return fail(file.error());
  if (!*file) {
    return fail(ErrorKind::transient, fmt::format("another command is changing workspace \"{}\"", name), "try again");
  }
  return Lock{std::move(*file)};
}

Result<Lock> Store::lock_supervision(std::string_view name) const {
  if (Status named = check_name(name); !named) return fail(named.error());
  auto file = try_lock_file(lock_of(name, "supervision"));
  if (!file) return fail(file.error());
  if (!*file)
    return fail(ErrorKind::conflict, fmt::format("workspace \"{}\" is supervised already", name),
                "end the `microagent supervise` that attends to it");
  return Lock{std::move(*file)};
}

Result<bool> Store::supervised(std::string_view name) const { return is_file_locked(lock_of(name, "supervision")); }

// Who attends to a workspace knows it by its name, and would take a new one for the one that is deleted.
Status Store::check_unsupervised(std::string_view name) const {
  const auto attended = supervised(name);
  if (!attended) return fail(attended.error());
  if (!*attended) return {};
  return fail(ErrorKind::conflict,
              fmt::format("workspace \"{}\" is deleted, and `microagent supervise` still attends to it", name),
              "see whether that is suspended or nobody reads its output, and end it");
}

Status Store::reset_caps(std::string_view name) const {
  if (Status named = check_name(name); !named) return named;
  if (!exists(name)) return no_such_workspace(name);
  const auto lock = try_lock(name);
  if (!lock) return fail(lock.error());
  const fs::path file = directory(name) / kUsageFile;
  std::error_code error;
  fs::remove(file, error);
  if (error) return fail_errno(error.value(), fmt::format("cannot remove {}", file.string()));
  return {};
}

Status Store::remove(std::string_view name, const std::function<bool()>& still) const {
  if (Status named = check_name(name); !named) return named;
  const fs::path place = directory(name);
  std::error_code error;
  if (!exists(name) && !fs::exists(leaver(place), error)) return no_such_workspace(name);
  const auto lock = try_lock(name);
  if (!lock) return fail(lock.error());
  if (still && !still()) {
    return fail(ErrorKind::conflict, fmt::format("workspace \"{}\" is not what it was any more", name),
                fmt::format("see `microagent status {}`", name));
  }
  // The name goes in one step; then what it held. A crash in between leaves work for the next time.
  if (Status cleared = remove_tree(leaver(place)); !cleared) return cleared;
  if (!exists(name)) return remove_locks(name);
  if (Status gone = rename_path(place, leaver(place)); !gone) return gone;
  if (Status synced = sync_directory(place.parent_path()); !synced) return synced;
  if (Status cleared = remove_tree(leaver(place)); !cleared) return cleared;
  return remove_locks(name);
}

// With the workspace's lock in hand.
Status Store::remove_locks(std::string_view name) const {
  for (const char* kind : {"changes", "supervision"}) {
    if (Status removed = remove_lock_file(lock_of(name, kind)); !removed) return removed;
  }
  const fs::path own = lock_of(name);
  if (::unlink(own.c_str()) == 0 || errno == ENOENT) return {};
  return fail_errno(errno, fmt::format("cannot remove {}", own.string()));
}

Result<std::vector<fs::path>> Store::leftovers() const {
  std::vector<fs::path> found;
  std::error_code error;
  for (fs::directory_iterator entry(root_ / "workspaces", error), end; !error && entry != end; entry.increment(error)) {
    if (!name_of_leftover(entry->path()).empty()) found.push_back(entry->path());
  }
  if (error) return fail_errno(error.value(), fmt::format("cannot read {}", (root_ / "workspaces").string()));
  std::sort(found.begin(), found.end());
  return found;
}

Status Store::remove_leftover(const fs::path& path) const {
  const std::string name = name_of_leftover(path);
  if (name.empty()) return fail(ErrorKind::usage, fmt::format("{} is no leftover", path.string()));
  const auto lock = try_lock(name);
  if (!lock) return fail(lock.error());
  return remove_tree(path);
}

}  // namespace microagent::workspace
