#pragma once

// What `start` takes of its own environment for the workspace's swaps.

#include "base/result.h"
#include "policy/swap.h"
#include "supervisor/swap_variables.h"
#include "workspace/manifest.h"

namespace microagent::cli {

// Kind permanent, naming the variable, where one is missing or empty, or where the guest's environment or entrypoint
// holds what a secret one does.
Result<supervisor::SwapVariables> read_swap_variables(const policy::SwapSet& swaps,
                                                      const workspace::Manifest& manifest);

}  // namespace microagent::cli
