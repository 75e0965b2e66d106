#pragma once

#include <optional>
#include <span>
#include <string>
#include <string_view>

#include "supervisor/child.h"
#include "supervisor/machine.h"
#include "workspace/state.h"

namespace microagent::supervisor {

// How a workspace ended, for its record.
struct Ending {
  workspace::State state = workspace::State::failed;
  std::string detail;
  std::string reason = workspace::kReasonFailure;
};

// What the end of QEMU means: the guest's own wish, its crash, or QEMU's.
Ending judge_machine_end(const ChildEnd& end, const std::optional<Machine::Shutdown>& shutdown,
                         std::string_view last_console_line, std::string_view obituary);

// Who is to blame when several workers have ended: one's end makes the others go, but those go in order, so the worst
// end was the first. Null ends are alive. The index, or nothing when all live.
std::optional<std::size_t> find_culprit(std::span<const std::optional<ChildEnd>> ends);

}  // namespace microagent::supervisor
