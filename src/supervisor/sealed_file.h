#pragma once

#include <string_view>

#include "base/fd.h"
#include "base/result.h"

namespace microagent::supervisor {

// A file of its own, without a place, that nobody can change any more.
Result<Fd> sealed_file(const char* name, std::string_view content);

}  // namespace microagent::supervisor
