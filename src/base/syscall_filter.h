#pragma once

// The seccomp filters of our processes: a list of what is allowed, and death for everything else (seccomp(2), mode
// SECCOMP_RET_KILL_PROCESS). A library of its own, microagent_seccomp, for those who confine themselves.

#include <seccomp.h>

#include <memory>
#include <span>

#include "base/result.h"

namespace microagent {

class SyscallFilter {
 public:
  SyscallFilter();

  // With any arguments. Calls are SCMP_SYS(name).
  void allow(std::span<const int> calls);
  // When one argument is as the condition says, SCMP_A1(...) and its like; of several rules for a call, any may hold.
  void allow_when(int call, const scmp_arg_cmp& condition);
  // Memory that is never executable.
  void allow_memory();
  // abort() signals ourselves; nobody else can be named.
  void allow_abort();

  // Irrevocable, for this process and what it starts: no new privileges, and no other system calls. `unsupported` when
  // a rule before could not be made; else the kernel's refusal.
  Status install();

 private:
  void keep(int failed);

  std::unique_ptr<void, decltype(&seccomp_release)> filter_;
  bool complete_ = true;
};

}  // namespace microagent
