#pragma once

// The flags of `create` for credential swaps, and what they and a spec come to together.

#include <string>
#include <vector>

#include "cli/command.h"
#include "policy/policy.h"
#include "policy/swap.h"
#include "workspace/declaration.h"

namespace microagent::cli {

struct SwapOptions {
  std::vector<std::string> files, providers;
};

void add_swap_flags(CLI::App& command, SwapOptions& options);

// Adds to what flags and spec declare together: the swaps of the flags, and for each provider the rules that allow its
// hosts and the guest's variable with the placeholder, which nobody else may set.
Status add_swaps(const SwapOptions& options, workspace::Declaration& declaration);

// The swaps of a manifest, compiled. Kind usage; the message says the place.
Result<policy::SwapSet> swap_set(const std::vector<workspace::DeclaredSwap>& swaps);

// What stands in a swap's way under the manifest's policy.
Result<std::vector<policy::Misfit>> find_misfits(const workspace::Manifest& manifest);

// A line on standard error.
void warn_of(const policy::Misfit& misfit);

// Every swap by itself and under the policy; kind usage, and the message says the place.
Status check_swaps(const workspace::Manifest& manifest);

}  // namespace microagent::cli
