#pragma once

// The characters and words of HTTP/1 (RFC 9110, 5.6).

#include <algorithm>
#include <array>
#include <string_view>

namespace microagent::http {

constexpr bool is_digit(char c) { return c >= '0' && c <= '9'; }
constexpr char lower(char c) { return c >= 'A' && c <= 'Z' ? static_cast<char>(c - 'A' + 'a') : c; }

// By tables: every byte of every head passes here.
using CharacterSet = std::array<bool, 256>;
constexpr CharacterSet make_token_characters() {
  CharacterSet set{};
  for (unsigned c = 0; c < set.size(); ++c) {
    const char small = lower(static_cast<char>(c));
    set[c] = is_digit(small) || (small >= 'a' && small <= 'z') ||
             (c != 0 && std::string_view("!#$%&'*+-.^_`|~").find(static_cast<char>(c)) != std::string_view::npos);
  }
  return set;
}
inline constexpr CharacterSet kTokenCharacters = make_token_characters();

constexpr bool is_token_character(char c) { return kTokenCharacters[static_cast<unsigned char>(c)]; }
constexpr bool is_token(std::string_view text) {
  return !text.empty() && std::ranges::all_of(text, is_token_character);
}

constexpr bool is_visible(char c) { return static_cast<unsigned char>(c) > ' ' && c != '\x7f'; }
constexpr bool is_blank(char c) { return c == ' ' || c == '\t'; }
// What may stand in a header's value (RFC 9110, 5.5).
constexpr bool is_field_character(char c) { return is_visible(c) || is_blank(c); }

constexpr bool same_word(std::string_view a, std::string_view b) {
  return a.size() == b.size() && std::ranges::equal(a, b, [](char x, char y) { return lower(x) == lower(y); });
}

constexpr std::string_view trimmed(std::string_view text) {
  while (!text.empty() && is_blank(text.front())) text.remove_prefix(1);
  while (!text.empty() && is_blank(text.back())) text.remove_suffix(1);
  return text;
}

constexpr std::string_view path_of(std::string_view target) { return target.substr(0, target.find_first_of("?#")); }

// Takes the next element of a comma-separated list out of it, trimmed; empty ones count for nothing (RFC 9110, 5.6.1).
constexpr std::string_view take_list_word(std::string_view& list) {
  const std::size_t end = std::min(list.find(','), list.size());
  const std::string_view word = trimmed(list.substr(0, end));
  list.remove_prefix(std::min(end + 1, list.size()));
  return word;
}

}  // namespace microagent::http
