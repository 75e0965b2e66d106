#pragma once

#include "base/result.h"

namespace microagent::mediator {

// Leaves this process the system calls of its work and nothing else: it may make sockets of the families it dials and
// is told of, and open files; it may not run a program, make a process, look into or signal another, or mount anything.
// Whatever else it tries, and any other system call table, kills it. Irrevocable; comes before the first byte of a
// guest.
Status enter_sandbox();

}  // namespace microagent::mediator
