#pragma once

#include <chrono>
#include <nlohmann/json.hpp>
#include <string>

#include "cli/output.h"
#include "workspace/state.h"

namespace microagent::cli {

// What each part of a start took, for `start --timings`. `whole` is as the command saw it: what no stage tells of is
// its own part, before the supervisor's clock begins and behind its last word.
std::string describe_boot(const Output& out, const workspace::Runtime& runtime, std::chrono::microseconds whole);
// [{"stage","ms"}]
nlohmann::json boot_record(const workspace::Runtime& runtime, std::chrono::microseconds whole);

}  // namespace microagent::cli
