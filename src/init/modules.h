#pragma once

#include <string_view>

#include "base/result.h"

namespace microagent::init {

// Loads the kernel modules that tools/guest-image lists for an occasion ("boot", "network", "disk"), in its order,
// which is that of their dependencies. The list has lines of OCCASION PATH. Modules that are there already are fine.
Status load_modules(std::string_view occasion);

}  // namespace microagent::init
