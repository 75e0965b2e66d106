#pragma once

#include <optional>

#include "cli/command.h"
#include "workspace/manifest.h"
#include "workspace/state.h"

namespace microagent::cli {

inline constexpr unsigned kMaxWaitSeconds = 10 * 365 * 24 * 3600U;

// Waits until the workspace has ended, or its entrypoint has, and tells its record. 0, or 1 when it has failed or is
// quarantined; an error of kind transient when that takes longer.
Result<int> wait_for_end(const Context& context, const workspace::Store& store, const workspace::Manifest& manifest,
                         std::optional<unsigned> seconds);

}  // namespace microagent::cli
