#include "netd/sandbox.h"

#include <fcntl.h>
#include <linux/sockios.h>
#include <seccomp.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <unistd.h>

#include <array>
#include <cerrno>
#include <memory>

namespace microagent::netd {
namespace {

using Filter = std::unique_ptr<void, decltype(&seccomp_release)>;

// Allowed with any arguments. None of them makes a descriptor out of nothing or names another process.
constexpr int kAllowed[] = {
    // descriptors we were given
    SCMP_SYS(read), SCMP_SYS(write), SCMP_SYS(recvmsg), SCMP_SYS(sendmsg), SCMP_SYS(recvfrom), SCMP_SYS(sendto),
    SCMP_SYS(recvmmsg), SCMP_SYS(sendmmsg), SCMP_SYS(shutdown), SCMP_SYS(close), SCMP_SYS(getsockopt),
    SCMP_SYS(setsockopt), SCMP_SYS(lseek),
    // the loop
    SCMP_SYS(epoll_wait), SCMP_SYS(epoll_ctl), SCMP_SYS(timerfd_settime), SCMP_SYS(clock_gettime),
    // memory
    SCMP_SYS(munmap), SCMP_SYS(brk), SCMP_SYS(mremap), SCMP_SYS(madvise),
    // the end
    SCMP_SYS(exit_group), SCMP_SYS(rt_sigprocmask), SCMP_SYS(rt_sigreturn), SCMP_SYS(restart_syscall),
    SCMP_SYS(getpid), SCMP_SYS(gettid),
};

// A sanitizer's runtime probes memory through a pipe and takes locks; such a build is for tests only.
#if __has_feature(address_sanitizer) || __has_feature(thread_sanitizer)
constexpr int kAllowedToSanitizers[] = {SCMP_SYS(pipe2), SCMP_SYS(futex), SCMP_SYS(sched_yield), SCMP_SYS(sigaltstack)};
#else
constexpr std::array<int, 0> kAllowedToSanitizers{};
#endif

bool allow(const Filter& filter, int call) { return seccomp_rule_add(filter.get(), SCMP_ACT_ALLOW, call, 0) == 0; }

bool allow_when(const Filter& filter, int call, const scmp_arg_cmp& condition) {
  return seccomp_rule_add(filter.get(), SCMP_ACT_ALLOW, call, 1, condition) == 0;
}

bool add_rules(const Filter& filter) {
  for (const int call : kAllowed) {
    if (!allow(filter, call)) return false;
  }
  for (const int call : kAllowedToSanitizers) {
    if (!allow(filter, call)) return false;
  }
  // Guest memory and the allocator's; never executable.
  if (!allow_when(filter, SCMP_SYS(mmap), SCMP_A2(SCMP_CMP_MASKED_EQ, PROT_EXEC, 0))) return false;
  if (!allow_when(filter, SCMP_SYS(mprotect), SCMP_A2(SCMP_CMP_MASKED_EQ, PROT_EXEC, 0))) return false;
  // Nonblocking mode of descriptors, and the seals of guest memory.
  for (const int operation : {F_GETFL, F_SETFL, F_GET_SEALS, F_ADD_SEALS}) {
    const auto wanted = static_cast<scmp_datum_t>(operation);
    if (!allow_when(filter, SCMP_SYS(fcntl), SCMP_A1(SCMP_CMP_EQ, wanted, 0))) return false;
  }
  // How full a socket is.
  if (!allow_when(filter, SCMP_SYS(ioctl), SCMP_A1(SCMP_CMP_EQ, SIOCOUTQ, 0))) return false;
  // abort() signals ourselves; nobody else can be named.
  return allow_when(filter, SCMP_SYS(tgkill), SCMP_A0(SCMP_CMP_EQ, static_cast<scmp_datum_t>(::getpid()), 0));
}

}  // namespace

Status raise_limits() {
  rlimit files{};
  if (::getrlimit(RLIMIT_NOFILE, &files) != 0) return fail_errno(errno, "cannot read the descriptor limit");
  files.rlim_cur = files.rlim_max;
  if (::setrlimit(RLIMIT_NOFILE, &files) != 0) return fail_errno(errno, "cannot raise the descriptor limit");
  const rlimit none{};
  if (::setrlimit(RLIMIT_CORE, &none) != 0) return fail_errno(errno, "cannot forbid core files");
  return {};
}

Status enter_sandbox() {
  if (::prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) != 0) return fail_errno(errno, "cannot give up new privileges");
  const Filter filter(seccomp_init(SCMP_ACT_KILL_PROCESS), &seccomp_release);
  if (!filter || !add_rules(filter)) return fail(ErrorKind::unsupported, "cannot build the system call filter");
  if (const int failed = seccomp_load(filter.get()); failed != 0) {
    return fail_errno(-failed, "cannot install the system call filter");
  }
  return {};
}

}  // namespace microagent::netd
