#pragma once

#include <CLI/CLI.hpp>
#include <optional>
#include <string>

#include "base/result.h"
#include "workspace/upkeep.h"

namespace microagent::cli {

// The flags for how long a workspace lasts, what it is asked, and what becomes of it when it fails.
struct UpkeepOptions {
  std::optional<std::string> restart, ttl, health_command, health_http;
  std::optional<std::string> interval, timeout, retries, start_period;
};

void add_upkeep_flags(CLI::App& command, UpkeepOptions& options);

// Kind usage; the message names the flag.
Result<workspace::DeclaredUpkeep> read_upkeep_flags(const UpkeepOptions& options);

}  // namespace microagent::cli
