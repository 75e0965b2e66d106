#pragma once

// The chain through the audit log: every record carries the SHA-256 of the line before it.

#include <string>
#include <string_view>

namespace microagent::audit {

// `prev` of a log's first record.
inline constexpr std::string_view kChainStart = "0000000000000000000000000000000000000000000000000000000000000000";

// Lower-case hexadecimal SHA-256 of a line, without its newline.
std::string line_hash(std::string_view line);

}  // namespace microagent::audit
