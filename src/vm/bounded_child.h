#pragma once

#include <chrono>
#include <functional>
#include <optional>

#include "base/result.h"

namespace microagent::vm {

// Runs `work` in a forked child and gives back what it returned, a number from 0 to 255; nothing when the deadline
// passed or a signal ended it. The child is killed at the deadline, and with the caller. Fails when no child can be
// made. For a process of one thread.
Result<std::optional<int>> run_bounded(std::chrono::milliseconds deadline, const std::function<int()>& work);

}  // namespace microagent::vm
