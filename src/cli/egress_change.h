#pragma once

#include "cli/command.h"

namespace microagent::cli {

// The words behind `egress` that change the policy or show it, and those that explain it or learn from the log.
void add_egress_changes(Commands& commands, CLI::App& parent);
void add_egress_explain(Commands& commands, CLI::App& parent);
void add_egress_learn(Commands& commands, CLI::App& parent);

}  // namespace microagent::cli
