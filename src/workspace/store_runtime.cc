// The part of the store that changes while a workspace lives.

#include <fcntl.h>
#include <fmt/format.h>

#include <cerrno>

#include "base/boot_id.h"
#include "base/clock.h"
#include "workspace/files.h"
#include "workspace/json_fields.h"
#include "workspace/lock.h"
#include "workspace/runtime_json.h"
#include "workspace/state.h"

namespace microagent::workspace {
namespace {

namespace fs = std::filesystem;

constexpr const char* kRuntimeFile = "runtime.json";
constexpr std::size_t kMaxRuntime = 4 * 1024 * 1024;
constexpr std::size_t kFullEvents = 4 * 1024 * 1024;  // as many thousand lives
constexpr std::size_t kMaxEvents = 64 * 1024 * 1024;

// Nobody listens on the sockets of a dead supervisor, and no guest boots from its initrd, which holds the environment.
Status remove_remains(const fs::path& directory) {
  std::error_code error;
  for (fs::directory_iterator entry(directory, error), end; !error && entry != end; entry.increment(error)) {
    std::error_code ignored;
    if (!entry->is_socket(ignored) && entry->path().filename() != kInitrdFile) continue;
    if (Status removed = remove_tree(entry->path()); !removed) return removed;
  }
  if (error) return fail_errno(error.value(), fmt::format("cannot read {}", directory.string()));
  return {};
}

// What becomes of a record whose supervisor died without a last word.
Runtime buried(Runtime runtime) {
  runtime.state = State::failed;
  const bool rebooted = !runtime.boot_id.empty() && runtime.boot_id != host_boot_id();
  runtime.detail = rebooted ? "the host went down" : "the supervisor died";
  runtime.reason = kReasonLost;
  runtime.observed_at = utc_timestamp();
  forget_life(runtime);
  for (auto& [name, signal] : runtime.readiness) {
    if (name != "resultReady" || !signal.ready) signal = {false, runtime.observed_at, {}, runtime.detail};
  }
  return runtime;
}

fs::path older_events(const fs::path& path) { return path.string() + ".1"; }

// A full file takes the place of the one before, so that a workspace that begins anew for years keeps what is recent.
Status append_event_to(const fs::path& path, const Event& event) {
  std::error_code error;
  const auto size = fs::file_size(path, error);
  if (!error && size >= kFullEvents) {
    if (Status moved = rename_path(path, older_events(path)); !moved) return moved;
    if (Status synced = sync_directory(path.parent_path()); !synced) return synced;
  }
  return append_line(path, dump(to_json(event)));
}

Status read_events(const fs::path& path, std::vector<Event>& events) {
  const auto text = read_file(path, kMaxEvents);
  if (!text && text.error().kind == ErrorKind::not_found) return {};
  if (!text) return fail(text.error());
  std::string_view rest = *text;
  std::size_t number = 0;
  // A last line without its end was never written whole: its event did not come to pass.
  for (std::size_t end = rest.find('\n'); end != std::string_view::npos; end = rest.find('\n')) {
    const std::string where = fmt::format("{}:{}", path.string(), ++number);
    const auto json = parse_json(rest.substr(0, end), where);
    if (!json) return fail(json.error());
    const auto event = event_from_json(*json, where);
    if (!event) return fail(event.error());
    events.push_back(*event);
    rest.remove_prefix(end + 1);
  }
  return {};
}

std::string text_of(const Runtime& runtime) { return dump(to_json(runtime)) + "\n"; }

// The record takes its place once the event is told, and neither is done where there is no room for both: the event is
// told again by the next one who finds the record as it was.
Status write_burial(const fs::path& directory, const Runtime& settled, const Event& event) {
  const fs::path record = directory / kRuntimeFile;
  if (Status prepared = prepare_replacement(record, text_of(settled)); !prepared) return prepared;
  if (Status told = append_event_to(directory / kEventsFile, event); !told) {
    drop_replacement(record);
    return told;
  }
  return commit_replacement(record);
}

}  // namespace

void forget_life(Runtime& runtime) {
  runtime.supervisor_pid = 0;
  runtime.pids.clear();
  runtime.forwards.clear();
  runtime.network.reset();
  for (auto& [name, signal] : runtime.readiness) {
    if (name != "resultReady") signal.ready = false;
  }
}

Result<Runtime> Store::load_runtime(std::string_view name) const {
  if (!exists(name)) return fail(ErrorKind::not_found, fmt::format("there is no workspace \"{}\"", name));
  const fs::path path = directory(name) / kRuntimeFile;
  const auto text = read_file(path, kMaxRuntime);
  if (!text && text.error().kind == ErrorKind::not_found) return Runtime{};
  if (!text) return fail(text.error());
  const auto json = parse_json(*text, path.string());
  if (!json) return fail(json.error());
  return runtime_from_json(*json, path.string());
}

Result<Runtime> Store::load_settled_runtime(std::string_view name) const {
  auto runtime = load_runtime(name);
  if (!runtime || !is_alive(runtime->state)) return runtime;
  // Not the lock itself: a start that comes meanwhile is to wait, not to fail.
  const auto vacancy = keep_unlocked(lock_of(name));
  if (!vacancy) return fail(vacancy.error());
  if (!*vacancy) return runtime;
  // The supervisor may have said its last word between the first look and now.
  runtime = load_runtime(name);
  if (!runtime || !is_alive(runtime->state)) return runtime;
  const Runtime lost = buried(*runtime);
  if (Status removed = remove_remains(directory(name)); !removed) return fail(removed.error());
  const Event event{lost.state, lost.detail, lost.observed_at, lost.reason};
  Runtime settled = runtime->before ? *runtime->before : lost;
  const Status written = write_burial(directory(name), settled, event);
  if (!written && written.error().kind != ErrorKind::resource_exhausted) return fail(written.error());
  // What is so can be told all the same.
  if (!written) settled.pending = event;
  return settled;
}

Status Store::save_runtime(std::string_view name, const Runtime& runtime) const {
  return write_atomically(directory(name) / kRuntimeFile, text_of(runtime));
}

Status Store::request_end(std::string_view name) const {
  const fs::path path = directory(name) / kEndRequestFile;
  const Fd file(::open(path.c_str(), O_WRONLY | O_CREAT | O_NOFOLLOW | O_CLOEXEC, 0600));
  if (!file) return fail_errno(errno, fmt::format("cannot make {}", path.string()));
  return {};
}

Result<bool> Store::end_requested(std::string_view name) const {
  const fs::path path = directory(name) / kEndRequestFile;
  std::error_code error;
  const auto status = fs::symlink_status(path, error);
  if (error && status.type() != fs::file_type::not_found) {
    return fail_errno(error.value(), fmt::format("cannot look for {}", path.string()));
  }
  return fs::exists(status);
}

Status Store::forget_end_request(std::string_view name) const {
  const fs::path path = directory(name) / kEndRequestFile;
  std::error_code error;
  fs::remove(path, error);
  if (error) return fail_errno(error.value(), fmt::format("cannot remove {}", path.string()));
  return {};
}

Status Store::append_event(std::string_view name, const Event& event) const {
  return append_event_to(directory(name) / kEventsFile, event);
}

Result<std::vector<Event>> Store::load_events(std::string_view name) const {
  if (!exists(name)) return fail(ErrorKind::not_found, fmt::format("there is no workspace \"{}\"", name));
  const fs::path path = directory(name) / kEventsFile;
  std::vector<Event> events;
  for (const fs::path& part : {older_events(path), path}) {
    if (Status read = read_events(part, events); !read) return fail(read.error());
  }
  return events;
}

}  // namespace microagent::workspace
