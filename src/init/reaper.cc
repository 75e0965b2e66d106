#include "init/reaper.h"

#include <sys/wait.h>

#include <cerrno>

namespace microagent::init {

wire::ExitStatus exit_status_of(int wait_status) {
  if (WIFSIGNALED(wait_status)) return {0, static_cast<std::uint32_t>(WTERMSIG(wait_status))};
  return {static_cast<std::uint32_t>(WEXITSTATUS(wait_status)), 0};
}

void Reaper::on_child_signal() {
  for (;;) {
    int status = 0;
    const pid_t pid = ::waitpid(-1, &status, WNOHANG);
    if (pid < 0 && errno == EINTR) continue;
    alone_ = pid < 0;
    if (pid <= 0) return;
    const auto found = expected_.find(pid);
    if (found == expected_.end()) continue;
    const OnEnd on_end = std::move(found->second);
    expected_.erase(found);
    on_end(exit_status_of(status));
  }
}

}  // namespace microagent::init
