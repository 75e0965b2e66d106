#pragma once

#include <string_view>

namespace microagent::init {

// One line to the console (standard error), with init's name in front, by a single write(2).
void say(std::string_view line);

}  // namespace microagent::init
