#pragma once

#include <string>
#include <string_view>

#include "cli/command_tree.h"

namespace microagent::cli {

// The manual page of one command, in the language of man(7). `date` is YYYY-MM-DD.
std::string manual_page(const CommandWords& command, std::string_view version, std::string_view date);

}  // namespace microagent::cli
