#pragma once

#include <string>

#include "cli/command_tree.h"

namespace microagent::cli {

// What teaches a shell the program's words. Workspaces are proposed by name, as `microagent list` knows them.
std::string bash_completion(const CommandWords& root);
std::string zsh_completion(const CommandWords& root);
std::string fish_completion(const CommandWords& root);

}  // namespace microagent::cli
