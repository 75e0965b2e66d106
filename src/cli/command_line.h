#pragma once

#include <string>
#include <vector>

namespace microagent::cli {

// Does what the words behind the program's name say, and gives the exit code.
int run_command_line(std::vector<std::string> words);

}  // namespace microagent::cli
