#pragma once

#include <string>
#include <string_view>

namespace microagent {

// With ASCII's capitals in lower case and every other byte as it is: as DNS compares names (RFC 4343).
inline std::string to_lower_ascii(std::string_view text) {
  std::string small(text);
  for (char& c : small) {
    if (c >= 'A' && c <= 'Z') c = static_cast<char>(c + 32);
  }
  return small;
}

}  // namespace microagent
