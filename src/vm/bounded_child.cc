#include "vm/bounded_child.h"

#include <poll.h>
#include <signal.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>

#include "base/fd.h"

namespace microagent::vm {
namespace {

using Clock = std::chrono::steady_clock;

[[noreturn]] void become_child(pid_t parent, const std::function<int()>& work) {
  ::prctl(PR_SET_PDEATHSIG, SIGKILL);
  if (::getppid() != parent) ::_exit(255);  // the parent died before it could be noticed
  ::_exit(work());
}

bool ends_before(int pidfd, Clock::time_point deadline) {
  for (;;) {
    const auto left = std::chrono::ceil<std::chrono::milliseconds>(deadline - Clock::now());
    pollfd wanted{pidfd, POLLIN, 0};
    const int ready = ::poll(&wanted, 1, static_cast<int>(std::max<std::int64_t>(left.count(), 0)));
    if (ready >= 0 || errno != EINTR) return ready == 1;
  }
}

}  // namespace

Result<std::optional<int>> run_bounded(std::chrono::milliseconds deadline, const std::function<int()>& work) {
  const Clock::time_point end = Clock::now() + deadline;
  const pid_t parent = ::getpid();
  const pid_t child = ::fork();
  if (child < 0) return fail_errno(errno, "cannot start a process");
  if (child == 0) become_child(parent, work);

  const Fd pidfd(static_cast<int>(::syscall(SYS_pidfd_open, child, 0)));
  // Without a descriptor to wait on there is no deadline to keep, so the child is not waited for at all.
  if (!pidfd || !ends_before(pidfd.get(), end)) ::kill(child, SIGKILL);
  int status = 0;
  while (::waitpid(child, &status, 0) < 0 && errno == EINTR) {
  }
  if (!WIFEXITED(status)) return std::nullopt;
  return WEXITSTATUS(status);
}

}  // namespace microagent::vm
