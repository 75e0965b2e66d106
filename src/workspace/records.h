#pragma once

// The records that commands print (contract.md, "Records"). Keys are camelCase; empty parts are left out.

#include <nlohmann/json.hpp>
#include <optional>

#include "workspace/manifest.h"
#include "workspace/state.h"

namespace microagent::workspace {

inline constexpr const char* kBackend =
    "linux-kvm";  // the name that scripts know; `acceleration` says what really runs

// What an undeclared or partly declared user-mode network comes to.
nlohmann::json effective_record(const Network& network);

// What the guest really got and the real host ports; null while there is nothing to tell.
nlohmann::json runtime_network_record(const Manifest& manifest, const Runtime& runtime);

nlohmann::json event_record(std::string_view name, const Event& event);

// `create`: {workspace state backend network networkMode resources envNames entrypoint egress createdAt event}.
nlohmann::json create_record(const Manifest& manifest);

// `status` and `start`: the same with what is known of the running workspace, and network.runtime nested.
nlohmann::json status_record(const Manifest& manifest, const Runtime& runtime);

// `network NAME`: {workspace state backend network runtime}, side by side.
nlohmann::json network_command_record(const Manifest& manifest, const Runtime& runtime);

// One row of `list`.
nlohmann::json list_record(const Manifest& manifest, const Runtime& runtime);

}  // namespace microagent::workspace
