#pragma once

#include <sys/types.h>

namespace microagent::supervisor {

// What a forked child does to itself before it becomes another program. Each returns 0 or an errno. Only system calls.

// Moves into a network namespace of its own that holds nothing.
int leave_network();

// Gives up every capability and every way to gain one, even when run by root.
int drop_privileges();

// Makes the kernel kill this process when its parent dies; ESRCH when `parent` has died already. The order matters: the
// kernel forgets the wish when the process gains credentials, as it does with a user namespace.
int die_with_parent(pid_t parent);

}  // namespace microagent::supervisor
