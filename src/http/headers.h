#pragma once

// Header lines in the order and spelling in which they came: what a man in the middle must not change.

#include <cstddef>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

namespace microagent::http {

struct Header {
  std::string name;          // as sent in HTTP/1; in lower case, perhaps with a colon in front, in HTTP/2
  std::string value;         // without white space around it
  bool never_index = false;  // HTTP/2: no table of header compression may keep it (RFC 7541, 6.2.3)
  bool operator==(const Header&) const = default;
};
using HeaderList = std::vector<Header>;

// The first of the name, whatever its case; nothing when there is none.
const Header* find_header(const HeaderList& headers, std::string_view name);
Header* find_header(HeaderList& headers, std::string_view name);
std::string_view header_value(const HeaderList& headers, std::string_view name);  // empty when there is none
std::size_t count_headers(const HeaderList& headers, std::string_view name);

// Whether a word stands in the comma-separated lists of all headers of the name (RFC 9110, 5.6.1), in any case.
bool lists_word(const HeaderList& headers, std::string_view name, std::string_view word);
// The same for how a challenge or credentials begin (RFC 9110, 11.2). A parameter may look like one.
bool names_scheme(const HeaderList& headers, std::string_view name, std::string_view scheme);

// Leaves one header of the name, in the first one's place and spelling, or at the end when there was none. False, with
// nothing changed, for a name or value that may not stand in a header.
[[nodiscard]] bool set_header(HeaderList& headers, std::string_view name, std::string_view value);
// How many went.
std::size_t remove_header(HeaderList& headers, std::string_view name);

bool is_header_name(std::string_view name);
// No control character, no white space around.
bool is_header_value(std::string_view value);

// What an Accept header asks for when it names JSON before text.
bool prefers_json(std::string_view accept);

}  // namespace microagent::http
