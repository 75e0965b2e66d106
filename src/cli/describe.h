#pragma once

// Workspaces in words for people.

#include <string>

#include "cli/output.h"
#include "workspace/manifest.h"
#include "workspace/state.h"

namespace microagent::cli {

// What `create --dry-run` would record.
std::string describe_plan(const Output& out, const workspace::Manifest& manifest);

// `status`: the workspace, its network and its readiness.
// `live` holds the mediator's counters (flow/control.h), or is null.
std::string describe_status(const Output& out, const workspace::Manifest& manifest, const workspace::Runtime& runtime,
                            const nlohmann::json& live);

// `network`: declared and running, side by side.
std::string describe_network(const Output& out, const workspace::Manifest& manifest, const workspace::Runtime& runtime);

// "127.0.0.1:8080:80/tcp", one a line, for what has just been started.
std::string describe_ports(const workspace::Runtime& runtime);

// RFC 3339 without the fraction of a second.
std::string short_time(std::string_view timestamp);

}  // namespace microagent::cli
