#pragma once

#include <string>
#include <vector>

#include "cli/command_tree.h"

namespace microagent::cli {

// Does what the words behind the program's name say, and gives the exit code.
int run_command_line(std::vector<std::string> words);

// The words that it knows.
CommandWords command_words();

}  // namespace microagent::cli
