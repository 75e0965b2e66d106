#pragma once

#include <cstdint>
#include <string>

namespace microagent::cli {

// "512 B", "1.5 MiB".
std::string bytes_text(std::uint64_t count);

}  // namespace microagent::cli
