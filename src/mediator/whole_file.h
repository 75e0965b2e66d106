#pragma once

#include <cstddef>
#include <string>
#include <string_view>

#include "base/fd.h"
#include "base/result.h"

namespace microagent::mediator {

// All that is left to read, but no more than one byte above `limit`: a longer result is too long. Errors begin with
// `what`.
Result<std::string> read_whole(const Fd& fd, std::size_t limit, std::string_view what);
Status write_whole(const Fd& fd, std::string_view content, std::string_view what);

}  // namespace microagent::mediator
