#pragma once

#include <string>

#include "base/fd.h"
#include "cli/command.h"

namespace microagent::cli {

// A stream to the exec service of a running workspace (wire/agent.h).
Result<Fd> open_exec_stream(const Context& context, const std::string& name);

}  // namespace microagent::cli
