#pragma once

#include "cli/command.h"

namespace microagent::cli {

// `publish` and `unpublish` behind `network`.
void add_network_changes(Commands& commands, CLI::App& parent);

}  // namespace microagent::cli
