#pragma once

#include <optional>
#include <string>
#include <string_view>

#include "base/result.h"

namespace microagent::policy {

// The path of a request target (origin form), its query cut off, as rules compare it: percent-encodings of unreserved
// characters undone, the others in upper case (RFC 3986, 6.2.2). Nothing where servers disagree about what it names:
// dot segments and empty segments, plain or encoded, encoded slashes, backslashes, zero and control bytes, and what is
// not a path at all.
std::optional<std::string> canonical_path(std::string_view target);

// A path of a rule: "/v1/models" itself, or "/v1/*": whatever begins so. The message does not repeat the text.
Result<std::string> parse_path_pattern(std::string_view text);

// Both canonical.
bool matches_path(std::string_view pattern, std::string_view path);

}  // namespace microagent::policy
