#include "mediator/sandbox.h"

#include <fcntl.h>
#include <seccomp.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <unistd.h>

#include <array>
#include <cerrno>
#include <memory>

namespace microagent::mediator {
namespace {

using Filter = std::unique_ptr<void, decltype(&seccomp_release)>;

// Allowed with any arguments.
constexpr int kAllowed[] = {
    // sockets
    SCMP_SYS(connect), SCMP_SYS(bind), SCMP_SYS(shutdown), SCMP_SYS(getsockopt), SCMP_SYS(setsockopt),
    SCMP_SYS(getsockname), SCMP_SYS(getpeername), SCMP_SYS(recvmsg), SCMP_SYS(sendmsg), SCMP_SYS(recvfrom),
    SCMP_SYS(sendto), SCMP_SYS(recvmmsg), SCMP_SYS(sendmmsg),
    // files: the audit log and what is beside it, the result, resolv.conf
    SCMP_SYS(open), SCMP_SYS(openat), SCMP_SYS(close), SCMP_SYS(read), SCMP_SYS(write), SCMP_SYS(readv),
    SCMP_SYS(writev), SCMP_SYS(pread64), SCMP_SYS(pwrite64), SCMP_SYS(lseek), SCMP_SYS(fstat), SCMP_SYS(newfstatat),
    SCMP_SYS(stat), SCMP_SYS(lstat), SCMP_SYS(statx), SCMP_SYS(access), SCMP_SYS(faccessat), SCMP_SYS(faccessat2),
    SCMP_SYS(getdents64), SCMP_SYS(ftruncate), SCMP_SYS(fsync), SCMP_SYS(fdatasync), SCMP_SYS(fchmod),
    SCMP_SYS(rename), SCMP_SYS(renameat), SCMP_SYS(renameat2), SCMP_SYS(unlink), SCMP_SYS(unlinkat), SCMP_SYS(mkdir),
    SCMP_SYS(mkdirat), SCMP_SYS(fcntl), SCMP_SYS(dup), SCMP_SYS(dup3),
    // the loop
    SCMP_SYS(epoll_create1), SCMP_SYS(epoll_wait), SCMP_SYS(epoll_pwait), SCMP_SYS(epoll_ctl), SCMP_SYS(eventfd2),
    SCMP_SYS(timerfd_create), SCMP_SYS(timerfd_settime), SCMP_SYS(poll), SCMP_SYS(ppoll), SCMP_SYS(futex),
    SCMP_SYS(clock_gettime), SCMP_SYS(clock_nanosleep), SCMP_SYS(gettimeofday), SCMP_SYS(getrandom),
    // memory
    SCMP_SYS(munmap), SCMP_SYS(brk), SCMP_SYS(mremap), SCMP_SYS(madvise),
    // who we are
    SCMP_SYS(getpid), SCMP_SYS(gettid), SCMP_SYS(getuid), SCMP_SYS(geteuid), SCMP_SYS(getgid), SCMP_SYS(getegid),
    SCMP_SYS(sysinfo), SCMP_SYS(sched_getaffinity), SCMP_SYS(sched_yield),
    // the end
    SCMP_SYS(exit), SCMP_SYS(exit_group), SCMP_SYS(rt_sigaction), SCMP_SYS(rt_sigprocmask), SCMP_SYS(rt_sigreturn),
    SCMP_SYS(sigaltstack), SCMP_SYS(restart_syscall),
};

// Local ends of flows and the mediation target; upstream; and the host's own addresses as they change.
constexpr int kFamilies[] = {AF_UNIX, AF_INET, AF_INET6, AF_NETLINK};

// A sanitizer's runtime probes memory through a pipe; such a build is for tests only.
#if __has_feature(address_sanitizer) || __has_feature(thread_sanitizer)
constexpr int kAllowedToSanitizers[] = {SCMP_SYS(pipe2), SCMP_SYS(readlink)};
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
  for (const int family : kFamilies) {
    const auto wanted = static_cast<scmp_datum_t>(family);
    if (!allow_when(filter, SCMP_SYS(socket), SCMP_A0(SCMP_CMP_EQ, wanted, 0))) return false;
  }
  if (!allow_when(filter, SCMP_SYS(socketpair), SCMP_A0(SCMP_CMP_EQ, AF_UNIX, 0))) return false;
  // Never executable.
  if (!allow_when(filter, SCMP_SYS(mmap), SCMP_A2(SCMP_CMP_MASKED_EQ, PROT_EXEC, 0))) return false;
  if (!allow_when(filter, SCMP_SYS(mprotect), SCMP_A2(SCMP_CMP_MASKED_EQ, PROT_EXEC, 0))) return false;
  for (const unsigned long request : {FIONBIO, FIONREAD}) {
    if (!allow_when(filter, SCMP_SYS(ioctl), SCMP_A1(SCMP_CMP_EQ, request, 0))) return false;
  }
  // abort() signals ourselves; nobody else can be named.
  return allow_when(filter, SCMP_SYS(tgkill), SCMP_A0(SCMP_CMP_EQ, static_cast<scmp_datum_t>(::getpid()), 0));
}

}  // namespace

Status enter_sandbox() {
  if (::prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) != 0) return fail_errno(errno, "cannot give up new privileges");
  const Filter filter(seccomp_init(SCMP_ACT_KILL_PROCESS), &seccomp_release);
  if (!filter || !add_rules(filter)) return fail(ErrorKind::unsupported, "cannot build the system call filter");
  if (const int failed = seccomp_load(filter.get()); failed != 0) {
    return fail_errno(-failed, "cannot install the system call filter");
  }
  return {};
}

}  // namespace microagent::mediator
