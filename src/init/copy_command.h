#pragma once

#include <functional>

#include "wire/agent.h"

namespace microagent::init {

// The body of a child that packs `request.path` to its standard output (get), or unpacks its standard input there
// (put). Says what went wrong on standard error and returns 1 then.
std::function<int()> copy_command(wire::FrameType type, const wire::CopyRequest& request);

}  // namespace microagent::init
