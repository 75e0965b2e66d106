// What the workspace's processes use, for `microagent stats`.

#include <unistd.h>

#include <nlohmann/json.hpp>

#include "supervisor/process_usage.h"
#include "supervisor/supervisor.h"

namespace microagent::supervisor {

using Json = nlohmann::json;

// The guest's memory is mapped by QEMU and by netd: it counts once, as QEMU's.
asio::awaitable<Result<Json>> Supervisor::usage() {
  using workspace::State;
  const State state = journal_.record().state;
  if (state != State::running && state != State::quarantined) {
    if (Status running = check_running(); !running) co_return fail(running.error());
  }
  const std::array<std::pair<const char*, pid_t>, 4> members{{{"supervisor", ::getpid()},
                                                              {"netd", netd_->pid()},
                                                              {"mediator", mediator_->pid()},
                                                              {"qemu", machine_->worker().pid()}}};
  Json processes = Json::object();
  for (const auto& [name, pid] : members) {
    const auto used = read_process_usage(pid);
    if (!used) continue;
    const bool owns_guest = std::string_view(name) == "qemu";
    processes[name] = {{"pid", pid},
                       {"cpuSeconds", used->cpu_seconds},
                       {"memoryBytes", used->resident_bytes - (owns_guest ? 0 : used->shared_bytes)}};
  }
  const std::chrono::duration<double> uptime = std::chrono::steady_clock::now() - running_since_;
  co_return Json{{"uptimeSeconds", uptime.count()}, {"processes", std::move(processes)}};
}

}  // namespace microagent::supervisor
