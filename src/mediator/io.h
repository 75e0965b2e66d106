#pragma once

#include "aio/io.h"

namespace microagent::mediator {
using namespace aio;  // every file of this folder reads and writes in coroutines
}
