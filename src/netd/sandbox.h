#pragma once

#include "base/result.h"

namespace microagent::netd {

// What must be set up while the process may still do it: as many descriptors as the hard limit allows, no core file
// (it would hold the guest's memory).
Status raise_limits();

// Leaves this process the system calls of its data path and nothing else: no socket, connect, open, execve, fork,
// ptrace. Anything else, and any other system call table, kills it. Irrevocable; comes before the first byte of a
// guest.
Status enter_sandbox();

}  // namespace microagent::netd
