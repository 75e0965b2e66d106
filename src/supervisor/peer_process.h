#pragma once

#include <chrono>

#include "base/fd.h"
#include "base/result.h"

namespace microagent::supervisor {

// The process that listens at the other end of a connection, as a pidfd: this process, and never another that has got
// its number. Kind conflict where it has ended.
Result<Fd> peer_process(int connection);

// Ends a process that does not react, and waits until it has ended.
Status end_process(const Fd& process);

}  // namespace microagent::supervisor
