#pragma once

// The egress flags of `create`, and what they and a spec come to together.

#include <optional>
#include <string>
#include <vector>

#include "cli/command.h"
#include "workspace/declaration.h"

namespace microagent::cli {

struct EgressOptions {
  std::optional<std::string> mode, policy_file;
  std::vector<std::string> allow, deny, passthrough, trust;
  std::optional<std::string> max_total_bytes, max_bytes_per_second, max_connections;
  std::optional<bool> lock_allowlist, observe;
};

void add_egress_flags(CLI::App& command, EgressOptions& options);

// What the flags say, but for the policy file.
Result<workspace::EgressDeclaration> read_egress_flags(const EgressOptions& options);

// Unites what flags and spec say with the policy file, which is weaker, and settles the word of the mode.
Result<workspace::EgressDeclaration> settle_egress(const EgressOptions& options, workspace::EgressDeclaration declared);

// Every rule, and the policy as a whole, but not the files of `trust`; kind usage, and the message says the place.
Status check_egress(const workspace::Egress& egress);

// What is worth a line on stderr; empty when nothing is.
std::string egress_warning(const workspace::Egress& egress);

}  // namespace microagent::cli
