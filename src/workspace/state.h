#pragma once

// The state directory on disk.
//
//   <root>/                        0700; --state-dir, MICROAGENT_HOME, else ~/.microagent
//     guest/vmlinuz, initramfs     the guest kernel and base image (tools/guest-image puts them there)
//     locks/<name>.lock            fcntl(2) F_OFD_SETLK: held by the supervisor while the workspace lives, by create
//     and
//                                  delete while they write; gone with the workspace
//     locks/<name>.changes         held by a command that changes the manifest
//     locks/<name>.supervision     held by `microagent supervise`
//     volumes/                     workspace/volumes.h
//     workspaces/<name>/           0700
//       workspace.json             Manifest
//       runtime.json               Runtime, written by the supervisor
//       events.jsonl               one lifecycle event a line; at 4 MiB it becomes events.jsonl.1
//       end-request                there while somebody wants what `microagent supervise` attends to ended for good
//       result                     what the guest wrote to /run/microagent/result, at most 16 MiB
//       egress.jsonl               audit, written by the mediator
//       egress-usage.json          what the caps have been charged, written by the mediator
//       egress-ca-key.pem          the authority that intercepts TLS, written by the mediator; only where that happens
//       base                       the image's root file system, which the cache has too; never written to
//       disk.qcow2                 what the guest has written over it
//       *.1                        what the log or history of that name held before, where that is bounded
//       console.log                the guest's serial console, bounded, one life behind the other
//       supervisor.log             stderr of supervisor, netd, mediator and QEMU; the same
//       copy-console.log           both of the last life for `microagent cp` alone
//       copy-supervisor.log
//       control.sock               the supervisor's control socket
//
// Every file 0600, every replacement atomic (write, fsync, rename, fsync of the directory).

#include <filesystem>
#include <functional>
#include <map>
#include <memory>
#include <nlohmann/json.hpp>
#include <optional>
#include <string>
#include <vector>

#include "base/fd.h"
#include "base/result.h"
#include "workspace/manifest.h"

namespace microagent::workspace {

inline constexpr const char* kResultFile = "result";
inline constexpr const char* kInitrdFile = "initrd";  // while the guest boots: it holds the environment
inline constexpr const char* kEventsFile = "events.jsonl";
inline constexpr const char* kAuditFile = "egress.jsonl";
inline constexpr const char *kBaseFile = "base", *kDiskFile = "disk.qcow2";
inline constexpr const char* kUsageFile = "egress-usage.json";
inline constexpr const char* kEndRequestFile = "end-request";

// `halted` is of the contract; nothing here enters it.
enum class State { prepared, starting, running, stopping, stopped, halted, quarantined, failed };
std::string_view to_string(State state);
std::optional<State> state_from_string(std::string_view word);
// Whether a supervisor is at work: starting, running, stopping, quarantined.
bool is_alive(State state);

// One readiness signal of the contract.
struct Signal {
  bool ready = false;
  std::string observed_at, detail, error;
};

struct Event {
  State state = State::prepared;
  std::string detail;
  std::string observed_at;
  std::string reason{};  // one of the words below, where one applies
};

// Why something is so, for programs: of the end of a workspace, or of an event in its life.
inline constexpr const char* kReasonRequest = "request";  // somebody asked for it
inline constexpr const char* kReasonGuest = "guest";      // the guest's own wish
inline constexpr const char* kReasonFailure = "failure";  // something broke
inline constexpr const char* kReasonExpired = "expired";  // its time to live was over
inline constexpr const char* kReasonLost = "lost";        // its supervisor died, or the host did
inline constexpr const char* kReasonHealth = "health";    // it became healthy, or ceased to be
inline constexpr const char* kReasonDisk = "disk";        // its guest's disk cannot be read or written on this host
inline constexpr const char* kReasonRestart = "restart";  // `microagent supervise` decided about its next life
inline constexpr const char* kReasonCopy = "copy";        // it runs for `microagent cp` alone, and will be as before

// A part of the way from the beginning of a start to a guest that is ready.
struct BootStage {
  std::string name;
  std::uint64_t microseconds = 0;

  bool operator==(const BootStage&) const = default;
};

// runtime.json: what the supervisor last knew.
struct Runtime {
  State state = State::prepared;
  std::string detail;  // why, for failed and stopped
  std::string reason;  // the same for programs, once it has ended
  std::string observed_at;
  std::optional<int> exit_code;             // of the entrypoint, once it ended
  int supervisor_pid = 0;                   // for people; liveness is the lock, never the pid
  std::map<std::string, int> pids;          // qemu netd mediator
  std::string boot_id;                      // of the host's life that the supervisor belongs to
  std::string acceleration;                 // kvm or tcg
  std::string acceleration_reason;          // why not kvm
  std::map<std::string, Signal> readiness;  // guestReady execReady shellReady resultReady mediationReady trustReady
  std::optional<EffectiveNetwork> network;  // what the guest reported
  std::vector<Forward> forwards;            // with the real ports behind host port 0
  std::vector<BootStage> boot;              // of this life, in their order
  std::optional<Event> pending{};           // not in the file: what waits for room on the disk to be written

  // Of a life for `microagent cp` alone: the record that is there again behind it, however it ends.
  std::shared_ptr<const Runtime> before{};
  bool for_a_copy() const { return before != nullptr; }
};

// Leaves out what is only so while a guest lives: its processes, its network, its ports, what it is ready for. A result
// that was given is still there.
void forget_life(Runtime& runtime);

nlohmann::json to_json(const Runtime& runtime);
Result<Runtime> runtime_from_json(const nlohmann::json& json, std::string_view file);
nlohmann::json to_json(const Event& event);

// [a-z0-9][a-z0-9-]{0,62}, none of the reserved words.
Status check_name(std::string_view name);
// The same, where every word is allowed.
bool is_volume_name(std::string_view name);

// --state-dir, else MICROAGENT_HOME, else ~/.microagent.
Result<std::filesystem::path> state_root(const std::optional<std::string>& flag);

// Replaces a file whole or not at all, mode 0600. One writer a file at a time; a crash leaves at most one temporary
// file beside it, which the next write replaces.
Status write_atomically(const std::filesystem::path& path, std::string_view content);

// The lock of one workspace, released with the descriptor.
struct Lock {
  Fd fd;
};

class Store {
 public:
  // Makes the root if need be, 0700. Refuses a root that another user owns.
  static Result<Store> open(std::filesystem::path root);

  const std::filesystem::path& root() const { return root_; }
  std::filesystem::path directory(std::string_view name) const;

  Result<std::vector<std::string>> list() const;
  bool exists(std::string_view name) const;

  // kind conflict when somebody else holds it.
  Result<Lock> try_lock(std::string_view name) const;
  // True while somebody (a supervisor) holds the lock. Never blocks, never disturbs.
  Result<bool> locked(std::string_view name) const;

  Result<Manifest> load_manifest(std::string_view name) const;
  // All or nothing: the directory appears with its manifest, and with what `furnish` puts into it, or not at all. Kind
  // conflict where the name is taken, or is one that `microagent supervise` still attends to.
  using Furnish = std::function<Status(const std::filesystem::path& directory)>;
  Status create(const Manifest& manifest, const Furnish& furnish = {}) const;
  // The manifests of what is being created, each written before create() calls `furnish`. Who reads them before list()
  // misses none, though one becomes the other meanwhile.
  Result<std::vector<Manifest>> load_newcomers() const;
  // Puts a changed manifest in the place of the one there is; under lock_changes().
  Status replace_manifest(const Manifest& manifest) const;
  // For a command that reads a manifest, changes it and writes it back, while the workspace runs or not. Kind transient
  // when another one is at it.
  Result<Lock> lock_changes(std::string_view name) const;
  // For `microagent supervise`, as long as it attends to the workspace. Kind conflict when another one does.
  Result<Lock> lock_supervision(std::string_view name) const;
  Result<bool> supervised(std::string_view name) const;
  // Tells whoever supervises the workspace that its end is final, whatever ends it.
  Status request_end(std::string_view name) const;
  Result<bool> end_requested(std::string_view name) const;
  Status forget_end_request(std::string_view name) const;
  // What the caps have been charged is forgotten. Kind conflict while the workspace runs.
  Status reset_caps(std::string_view name) const;
  // `still` is asked under the lock whether it is still to go; kind conflict where it is not.
  Status remove(std::string_view name, const std::function<bool()>& still = {}) const;
  // What a create or a delete that was killed has left beside the workspaces; a create that is at work is among it, but
  // cannot be removed: kind conflict.
  Result<std::vector<std::filesystem::path>> leftovers() const;
  Status remove_leftover(const std::filesystem::path& path) const;

  // A workspace that never started has a prepared Runtime.
  Result<Runtime> load_runtime(std::string_view name) const;
  // As load_runtime, but a record that says alive (starting running stopping) while nobody holds the lock becomes
  // failed, "the supervisor died", or what it was before a copy; it is written back with its event, and stale sockets
  // are removed. Where the disk has no room for that, the event is `pending`, and whoever comes next writes it.
  Result<Runtime> load_settled_runtime(std::string_view name) const;
  Status save_runtime(std::string_view name, const Runtime& runtime) const;
  Status append_event(std::string_view name, const Event& event) const;
  Result<std::vector<Event>> load_events(std::string_view name) const;

 private:
  explicit Store(std::filesystem::path root) : root_(std::move(root)) {}
  std::filesystem::path lock_of(std::string_view name, std::string_view kind = "lock") const;
  Status remove_locks(std::string_view name) const;
  Status check_unsupervised(std::string_view name) const;

  std::filesystem::path root_;
};

}  // namespace microagent::workspace
