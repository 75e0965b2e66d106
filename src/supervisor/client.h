#pragma once

// How the command line reaches a workspace's supervisor.
//
// Control socket: <workspace>/control.sock, AF_UNIX stream, one request a connection: a JSON line out, a JSON line back
// ({"ok":true} or {"ok":false,"error":{kind,message,remediation}}), with a descriptor beside the reply of `exec`.
//   {"command":"stop","timeoutSeconds":10}   clean shutdown, then a kill; replies when the workspace has ended
//   {"command":"kill"}                       replies when the workspace has ended
//   {"command":"wait"}                       replies when the workspace has ended, or its entrypoint has
//   {"command":"end"}                        replies when the workspace has ended; with an error when what was copied
//                                            may be lost
//   {"command":"usage"}                      replies with what the workspace's processes have used
//   {"command":"health","healthy":true,"finding":"..."}   goes into the record
//   {"command":"pending"}                    replies with the event that waits for room on the disk to be told
//   {"command":"policy"}                     the manifest's egress policy takes effect
//   {"command":"ports"}                      the manifest's published ports are those that are published
//   {"command":"ask","question":{...}}       a question for the mediator; replies with its answer as "result"
//   {"command":"quarantine"}                 replies when the guest is severed and frozen
//   {"command":"exec"}                       replies with a descriptor: a stream to the guest's exec service
//                                            (wire/agent.h)

#include <chrono>
#include <filesystem>
#include <functional>
#include <nlohmann/json.hpp>
#include <optional>
#include <string>

#include "base/fd.h"
#include "base/result.h"
#include "supervisor/swap_variables.h"
#include "workspace/state.h"

namespace microagent::supervisor {

// Ties a workspace's life to the command that starts it, however that ends: `held` is our end of a pipe, and when it is
// closed the workspace is killed, or shut down cleanly where it has volumes.
struct Leash {
  bool for_a_copy = false;  // nothing but its disks is booted, and its record will be what it was; see end_copy()
  bool discard = false;     // and removed, with all that is kept of it; a quarantined one is not
  int interrupt = -1;       // once this can be read, a start that is under way is given up
  Fd held{};                // set by start()
};

// Starts microagent-supervisor (beside the calling program) for a workspace, detached from the terminal, and waits
// until the guest is ready or the start has failed; then no process is left and the error says why. `progress` gets one
// short line per phase. Kind conflict when the workspace is already starting or running. The supervisor has our
// environment but for `variables`, which it gets by a pipe.
Result<workspace::Runtime> start(const workspace::Store& store, const std::string& name,
                                 std::chrono::seconds ready_timeout,
                                 const std::function<void(std::string_view)>& progress,
                                 const SwapVariables& variables = {}, Leash* leash = nullptr);

// `stop` and `kill` return the final record. Kind conflict when nothing runs.
Result<workspace::Runtime> stop(const workspace::Store& store, const std::string& name, std::chrono::seconds timeout);
// A supervisor that does not react to `kill` for so long is killed itself: the record is that of one that died.
inline constexpr std::chrono::seconds kKillPatience{15};
Result<workspace::Runtime> kill(const workspace::Store& store, const std::string& name,
                                std::chrono::seconds patience = kKillPatience);

// Waits until the workspace has ended, or its entrypoint has, and returns the record; at once for one that does not
// run. Kind transient after `limit`.
Result<workspace::Runtime> wait(const workspace::Store& store, const std::string& name, std::chrono::seconds limit);

// A descriptor that can be read once the workspace has ended, or its supervisor has died. Kind conflict when nothing
// runs, transient while it is only about to listen, or to end.
Result<Fd> watch_end(const workspace::Store& store, const std::string& name);

// Ends a workspace that was booted for a copy, by its leash, and waits until it has ended. Kind transient when what was
// copied may be lost.
Status end_copy(const workspace::Store& store, const std::string& name, Leash leash);

// {"uptimeSeconds","processes":{NAME:{"pid","cpuSeconds","memoryBytes"}}}. Kind conflict when nothing runs.
Result<nlohmann::json> usage(const workspace::Store& store, const std::string& name);

// What has happened to a running workspace and waits for room on the disk to be written down; nothing where nothing
// does. Kind conflict when nothing runs.
Result<std::optional<workspace::Event>> pending_event(const workspace::Store& store, const std::string& name);

// Lets the record say how healthy the guest is, and why not.
Status tell_health(const workspace::Store& store, const std::string& name, bool healthy, const std::string& finding);

// Lets the egress policy that the manifest holds now take effect: {"version","killed"}. Kind conflict when nothing
// runs.
Result<nlohmann::json> apply_policy(const workspace::Store& store, const std::string& name);
// Lets the host publish the ports that the manifest declares now, and no others; the record has the real port behind
// host port 0. Nothing has changed where it fails. Kind conflict when nothing runs.
Result<workspace::Runtime> apply_ports(const workspace::Store& store, const std::string& name);
// Asks the mediator: {"ask":"explain","host","port","protocol"} or {"ask":"status"} (flow/control.h).
Result<nlohmann::json> ask_mediator(const workspace::Store& store, const std::string& name,
                                    const nlohmann::json& question,
                                    std::chrono::seconds patience = std::chrono::seconds(30));
// Severs the workspace from everything and freezes it; returns the record.
Result<workspace::Runtime> quarantine(const workspace::Store& store, const std::string& name);

// A stream to the guest's exec service.
Result<Fd> open_exec(const workspace::Store& store, const std::string& name);

}  // namespace microagent::supervisor
