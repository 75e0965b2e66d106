#pragma once

#include <string_view>

namespace microagent {

// The last line of a program's words that says something, without its end: where a failure tells its reason.
constexpr std::string_view last_line(std::string_view text) {
  while (text.ends_with('\n')) text.remove_suffix(1);
  return text.substr(text.rfind('\n') + 1);
}

}  // namespace microagent
