#pragma once

#include <concepts>
#include <string>
#include <string_view>
#include <type_traits>

namespace microagent::init {

inline void append_text(std::string& text, std::string_view part) { text.append(part); }
inline void append_text(std::string& text, std::integral auto number) { text.append(std::to_string(number)); }

// Texts and whole numbers in one piece. fmt, which the host's programs use, would add a third to this one's size.
template <typename... Parts>
std::string concat(const Parts&... parts) {
  std::string text;
  (append_text(text, parts), ...);
  return text;
}

}  // namespace microagent::init
