#pragma once

// The prerequisites of a workspace, each probed by doing what will be done.

#include <filesystem>
#include <vector>

#include "cli/check.h"
#include "workspace/manifest.h"

namespace microagent::cli {

// `state` is the state directory, or why there is none; `ports` are those that a workspace is to
// publish.
std::vector<Check> probe_all(const Result<std::filesystem::path>& state, const std::vector<workspace::Forward>& ports);

}  // namespace microagent::cli
