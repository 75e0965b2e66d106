#include "netd/sandbox.h"

#include <fcntl.h>
#include <linux/sockios.h>
#include <sys/ioctl.h>
#include <sys/resource.h>

#include <array>
#include <cerrno>

#include "base/syscall_filter.h"

namespace microagent::netd {
namespace {

// Allowed with any arguments. None of them makes a descriptor out of nothing or names another process.
constexpr int kAllowed[] = {
    // descriptors we were given
    SCMP_SYS(read),
    SCMP_SYS(write),
    SCMP_SYS(recvmsg),
    SCMP_SYS(sendmsg),
    SCMP_SYS(recvfrom),
    SCMP_SYS(sendto),
    SCMP_SYS(recvmmsg),
    SCMP_SYS(sendmmsg),
    SCMP_SYS(shutdown),
    SCMP_SYS(close),
    SCMP_SYS(getsockopt),
    SCMP_SYS(setsockopt),
    SCMP_SYS(lseek),
    // the loop
    SCMP_SYS(epoll_pwait2),
    SCMP_SYS(epoll_ctl),
    SCMP_SYS(clock_gettime),
    SCMP_SYS(sched_yield),
    // memory
    SCMP_SYS(munmap),
    SCMP_SYS(brk),
    SCMP_SYS(mremap),
    SCMP_SYS(madvise),
    // the end
    SCMP_SYS(exit_group),
    SCMP_SYS(rt_sigprocmask),
    SCMP_SYS(rt_sigreturn),
    SCMP_SYS(restart_syscall),
    SCMP_SYS(getpid),
    SCMP_SYS(gettid),
};

// A sanitizer's runtime probes memory through a pipe and takes locks; such a build is for tests only.
#if __has_feature(address_sanitizer) || __has_feature(thread_sanitizer)
constexpr int kAllowedToSanitizers[] = {SCMP_SYS(pipe2), SCMP_SYS(futex), SCMP_SYS(sched_yield), SCMP_SYS(sigaltstack)};
#else
constexpr std::array<int, 0> kAllowedToSanitizers{};
#endif

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
  SyscallFilter filter;
  filter.allow(kAllowed);
  filter.allow(kAllowedToSanitizers);
  // Nonblocking mode of descriptors, and the seals of guest memory.
  for (const int operation : {F_GETFL, F_SETFL, F_GET_SEALS, F_ADD_SEALS}) {
    filter.allow_when(SCMP_SYS(fcntl), SCMP_A1(SCMP_CMP_EQ, static_cast<scmp_datum_t>(operation), 0));
  }
  // How full a socket is.
  filter.allow_when(SCMP_SYS(ioctl), SCMP_A1(SCMP_CMP_EQ, SIOCOUTQ, 0));
  filter.allow_memory();
  filter.allow_abort();
  return filter.install();
}

}  // namespace microagent::netd
