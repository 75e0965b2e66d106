#pragma once

#include <filesystem>
#include <vector>

#include "cli/check.h"
#include "workspace/manifest.h"

namespace microagent::cli {

// What the host's kernel must be able to do.
Check probe_kernel();

// Certificates are made and judged by the clock.
Check probe_clock();

// What is judged of the clock, in seconds since 1970: `made` is when the programs were.
Check judge_clock(std::int64_t now, std::int64_t made, bool synchronised);

// Whether the ports could be bound now: those of `wanted`, and those that workspaces which do not run have declared.
Check probe_ports(const Result<std::filesystem::path>& state, const std::vector<workspace::Forward>& wanted);

}  // namespace microagent::cli
