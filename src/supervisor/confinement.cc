#include "supervisor/confinement.h"

#include <linux/capability.h>
#include <sched.h>
#include <signal.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <cerrno>

namespace microagent::supervisor {
namespace {

constexpr int kEveryCapability = 64;  // more than any kernel knows; EINVAL tells the last

}  // namespace

int leave_network() {
  if (::unshare(CLONE_NEWUSER | CLONE_NEWNET) == 0) return 0;
  const int refusal = errno;
  // Where user namespaces are turned off, root still can.
  return ::unshare(CLONE_NEWNET) == 0 ? 0 : refusal;
}

int drop_privileges() {
  if (::prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) != 0) return errno;
  ::prctl(PR_CAP_AMBIENT, PR_CAP_AMBIENT_CLEAR_ALL, 0, 0, 0);
  for (int capability = 0; capability < kEveryCapability; ++capability) {
    if (::prctl(PR_CAPBSET_DROP, capability, 0, 0, 0) == 0) continue;
    if (errno == EINVAL) break;
    // An ordinary user may not shrink the bounding set; having no capability and NO_NEW_PRIVS is as good.
    if (errno != EPERM) return errno;
  }
  __user_cap_header_struct header{_LINUX_CAPABILITY_VERSION_3, 0};
  const __user_cap_data_struct none[_LINUX_CAPABILITY_U32S_3]{};
  return ::syscall(SYS_capset, &header, &none) == 0 ? 0 : errno;
}

int die_with_parent(pid_t parent) {
  if (::prctl(PR_SET_PDEATHSIG, SIGKILL) != 0) return errno;
  return ::getppid() == parent ? 0 : ESRCH;
}

}  // namespace microagent::supervisor
