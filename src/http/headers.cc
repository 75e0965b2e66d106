#include "http/headers.h"

#include <algorithm>
#include <utility>

#include "http/grammar.h"

namespace microagent::http {

const Header* find_header(const HeaderList& headers, std::string_view name) {
  for (const Header& header : headers) {
    if (same_word(header.name, name)) return &header;
  }
  return nullptr;
}

Header* find_header(HeaderList& headers, std::string_view name) {
  return const_cast<Header*>(find_header(std::as_const(headers), name));
}

std::string_view header_value(const HeaderList& headers, std::string_view name) {
  const Header* header = find_header(headers, name);
  return header == nullptr ? std::string_view() : header->value;
}

std::size_t count_headers(const HeaderList& headers, std::string_view name) {
  return static_cast<std::size_t>(
      std::ranges::count_if(headers, [name](const Header& header) { return same_word(header.name, name); }));
}

bool lists_word(const HeaderList& headers, std::string_view name, std::string_view word) {
  for (const Header& header : headers) {
    if (!same_word(header.name, name)) continue;
    for (std::string_view list = header.value; !list.empty();) {
      if (same_word(take_list_word(list), word)) return true;
    }
  }
  return false;
}

bool names_scheme(const HeaderList& headers, std::string_view name, std::string_view scheme) {
  for (const Header& header : headers) {
    if (!same_word(header.name, name)) continue;
    for (std::string_view list = header.value; !list.empty();) {
      const std::string_view challenge = take_list_word(list);
      if (same_word(challenge.substr(0, challenge.find(' ')), scheme)) return true;
    }
  }
  return false;
}

bool set_header(HeaderList& headers, std::string_view name, std::string_view value) {
  if (!is_header_name(name) || !is_header_value(value)) return false;
  const auto is_named = [name](const Header& header) { return same_word(header.name, name); };
  const auto first = std::ranges::find_if(headers, is_named);
  if (first == headers.end()) {
    headers.push_back({std::string(name), std::string(value)});
    return true;
  }
  first->value = value;
  headers.erase(std::remove_if(first + 1, headers.end(), is_named), headers.end());
  return true;
}

std::size_t remove_header(HeaderList& headers, std::string_view name) {
  return std::erase_if(headers, [name](const Header& header) { return same_word(header.name, name); });
}

bool is_header_name(std::string_view name) { return is_token(name); }

bool is_header_value(std::string_view value) {
  return std::ranges::all_of(value, is_field_character) && trimmed(value).size() == value.size();
}

bool prefers_json(std::string_view accept) {
  const std::size_t json = accept.find("application/json"), text = accept.find("text/");
  return json != std::string_view::npos && (text == std::string_view::npos || json < text);
}

}  // namespace microagent::http
