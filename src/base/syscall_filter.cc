#include "base/syscall_filter.h"

#include <sys/mman.h>
#include <sys/prctl.h>
#include <unistd.h>

#include <cerrno>

namespace microagent {

SyscallFilter::SyscallFilter() : filter_(seccomp_init(SCMP_ACT_KILL_PROCESS), &seccomp_release) {
  complete_ = filter_ != nullptr;
}

void SyscallFilter::keep(int failed) { complete_ = complete_ && failed == 0; }

void SyscallFilter::allow(std::span<const int> calls) {
  for (const int call : calls) {
    if (complete_) keep(seccomp_rule_add(filter_.get(), SCMP_ACT_ALLOW, call, 0));
  }
}

void SyscallFilter::allow_when(int call, const scmp_arg_cmp& condition) {
  if (complete_) keep(seccomp_rule_add(filter_.get(), SCMP_ACT_ALLOW, call, 1, condition));
}

void SyscallFilter::allow_memory() {
  allow_when(SCMP_SYS(mmap), SCMP_A2(SCMP_CMP_MASKED_EQ, PROT_EXEC, 0));
  allow_when(SCMP_SYS(mprotect), SCMP_A2(SCMP_CMP_MASKED_EQ, PROT_EXEC, 0));
}

void SyscallFilter::allow_abort() {
  allow_when(SCMP_SYS(tgkill), SCMP_A0(SCMP_CMP_EQ, static_cast<scmp_datum_t>(::getpid()), 0));
}

Status SyscallFilter::install() {
  if (::prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) != 0) return fail_errno(errno, "cannot give up new privileges");
  if (!complete_) return fail(ErrorKind::unsupported, "cannot build the system call filter");
  if (const int failed = seccomp_load(filter_.get()); failed != 0) {
    return fail_errno(-failed, "cannot install the system call filter");
  }
  return {};
}

}  // namespace microagent
