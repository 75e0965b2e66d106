#pragma once

#include "cli/command.h"

namespace microagent::cli {

void add_image(Commands& commands);

}  // namespace microagent::cli
