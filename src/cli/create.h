#pragma once

// What `create` and `run` share: the flags that declare a workspace.

#include <optional>
#include <string>
#include <vector>

#include "cli/command.h"
#include "cli/egress_flags.h"
#include "cli/swap_flags.h"
#include "cli/upkeep_flags.h"
#include "workspace/declared.h"
#include "workspace/manifest.h"

namespace microagent::cli {

struct CreateOptions {
  std::optional<std::string> name, named, file;
  std::optional<std::string> network, ip, subnet, gateway, memory, cpus, entrypoint;
  std::optional<std::string> image, init, size;
  std::vector<std::string> publish, dns, routes, env, volumes, bundles;
  std::vector<std::string> command;  // argv, in place of the image's
  bool pull = false;
  EgressOptions egress;
  SwapOptions swaps;
  UpkeepOptions upkeep;
  std::optional<std::string> mediation;
  bool mediation_optional = false;
  bool dry_run = false;
  std::optional<workspace::Declared<std::string>> name_otherwise;  // where neither flags nor spec have one
};

void add_declaring_flags(CLI::App& command, CreateOptions& options);

// The manifest that flags and spec declare, with every rule checked and its warning told.
Result<workspace::Manifest> plan_workspace(const CreateOptions& options);

}  // namespace microagent::cli
