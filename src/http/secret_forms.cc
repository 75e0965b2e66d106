// The ways in which writers spell a text that is a secret, or holds one. One writer spells a character the same way
// wherever it stands, so that there are as many forms as writers, and most of those agree.

#include <fmt/format.h>

#include <algorithm>
#include <array>

#include "base/base64.h"
#include "base/secret.h"
#include "http/grammar.h"
#include "http/secret_mask.h"

namespace microagent::http {
namespace {

// The characters that are the secret's alone when `before` bytes stand in front of it in a group of three.
std::string base64_within(std::string_view secret, std::size_t before, std::string_view alphabet) {
  const auto bit = [&](std::size_t at) { return static_cast<unsigned char>(secret[at / 8]) >> (7 - at % 8) & 1; };
  const std::size_t shared = before * 8 % 6;  // bits that the last character of those in front has of theirs
  std::string out;
  for (std::size_t at = shared == 0 ? 0 : 6 - shared; at + 6 <= secret.size() * 8; at += 6) {
    unsigned value = 0;
    for (std::size_t i = 0; i < 6; ++i) value = value << 1 | static_cast<unsigned>(bit(at + i));
    out.push_back(alphabet[value]);
  }
  return out;
}

bool is_alphanumeric(char c) {
  const char small = lower(c);
  return is_digit(c) || (small >= 'a' && small <= 'z');
}

bool stands_in(char c, std::string_view set) { return set.find(c) != std::string_view::npos; }

// RFC 3986, 2.1: all but letters, digits and what a writer keeps.
struct PercentEncoding {
  std::string_view kept;
  std::string_view space = "%20";
};
constexpr std::array kPercentEncodings{
    PercentEncoding{"-._~"},                  // RFC 3986; Go's and most libraries' for a query's value
    PercentEncoding{"-._~", "+"},             // Go's url.QueryEscape
    PercentEncoding{"-._~/"},                 // Python's quote()
    PercentEncoding{"-._~/", "+"},            //
    PercentEncoding{"-._*", "+"},             // forms, as browsers and Java write them
    PercentEncoding{"-._", "+"},              // PHP's urlencode()
    PercentEncoding{""},                      // Rust's NON_ALPHANUMERIC
    PercentEncoding{"-._~!'()*"},             // JavaScript's encodeURIComponent()
    PercentEncoding{"-._~!'()*;/?:@&=+$,#"},  // its encodeURI()
    PercentEncoding{"-._~$&+:=@"},            // Go's url.PathEscape
    PercentEncoding{"-._~!$&'()*+,;=:@"},     // what a segment of a path may hold
    PercentEncoding{"-._~!$&'()*+,;=:@/?"},   // what a query may hold
};

void percent_encode(std::string_view text, const PercentEncoding& encoding, bool upper, std::string& out) {
  for (const char c : text) {
    if (is_alphanumeric(c) || stands_in(c, encoding.kept)) out.push_back(c);
    else if (c == ' ') out += encoding.space;
    else
      out += upper ? fmt::format("%{:02X}", static_cast<unsigned char>(c))
                   : fmt::format("%{:02x}", static_cast<unsigned char>(c));
  }
}

// RFC 8259, 7, with or without a backslash before a slash, and what a writer gives the number of.
struct JsonEncoding {
  std::string_view numbered;
  bool slash = false;
  bool ascii = false;  // other than ASCII by number, too
};
constexpr std::array kJsonEncodings{
    JsonEncoding{""},                       // JavaScript
    JsonEncoding{"", false, true},          // Python
    JsonEncoding{"", true},                 //
    JsonEncoding{"", true, true},           // PHP
    JsonEncoding{"<>&"},                    // Go, Rails
    JsonEncoding{"<>&'="},                  // Gson
    JsonEncoding{"\"<>&'+`", false, true},  // .NET
    JsonEncoding{"<>&'+=", false, true},    //
};

// The code point that begins at `at`, and how many bytes it takes; 0: no UTF-8.
std::pair<char32_t, std::size_t> code_point(std::string_view text, std::size_t at) {
  const auto byte = [&](std::size_t i) { return static_cast<unsigned char>(text[i]); };
  const unsigned first = byte(at);
  const std::size_t size = first < 0x80 ? 1 : first >> 5 == 6 ? 2 : first >> 4 == 14 ? 3 : first >> 3 == 30 ? 4 : 0;
  if (size == 0 || at + size > text.size()) return {0, 0};
  char32_t point = size == 1 ? first : first & (0x7fU >> size);
  for (std::size_t i = 1; i < size; ++i) {
    if (byte(at + i) >> 6 != 2) return {0, 0};
    point = point << 6 | (byte(at + i) & 0x3fU);
  }
  return {point, size};
}

void number(char32_t point, bool upper, std::string& out) {
  if (point > 0xffff) {  // RFC 8259, 7: as a surrogate pair
    number(0xd7c0 + (point >> 10), upper, out);
    return number(0xdc00 + (point & 0x3ff), upper, out);
  }
  const auto value = static_cast<unsigned>(point);
  out += upper ? fmt::format("\\u{:04X}", value) : fmt::format("\\u{:04x}", value);
}

void json_encode(std::string_view text, const JsonEncoding& encoding, bool upper, std::string& out) {
  for (std::size_t i = 0; i < text.size();) {
    const char c = text[i];
    const auto [point, size] = code_point(text, i);
    const bool by_number = size == 1 ? stands_in(c, encoding.numbered) : encoding.ascii && size > 1;
    if (by_number) {
      number(point, upper, out);
    } else {
      if (c == '"' || c == '\\' || (encoding.slash && c == '/')) out.push_back('\\');
      out.append(text, i, std::max<std::size_t>(size, 1));
    }
    i += std::max<std::size_t>(size, 1);
  }
}

// What stands for & < > " '.
constexpr std::array kHtmlEncodings{
    std::array<std::string_view, 5>{"&amp;", "&lt;", "&gt;", "\"", "'"},
    std::array<std::string_view, 5>{"&amp;", "&lt;", "&gt;", "&quot;", "'"},
    std::array<std::string_view, 5>{"&amp;", "&lt;", "&gt;", "&quot;", "&#39;"},
    std::array<std::string_view, 5>{"&amp;", "&lt;", "&gt;", "&quot;", "&#x27;"},
    std::array<std::string_view, 5>{"&amp;", "&lt;", "&gt;", "&quot;", "&#039;"},
    std::array<std::string_view, 5>{"&amp;", "&lt;", "&gt;", "&#34;", "&#39;"},
};

void html_encode(std::string_view text, const std::array<std::string_view, 5>& encoding, std::string& out) {
  constexpr std::string_view kEncoded = "&<>\"'";
  for (const char c : text) {
    const std::size_t at = kEncoded.find(c);
    if (at == kEncoded.npos) out.push_back(c);
    else out += encoding[at];
  }
}

// Nothing that was longer before is left behind in memory.
std::string with_room(std::string_view text) {
  constexpr std::size_t kLongest = 6;  // \u00e9
  std::string out;
  out.reserve(text.size() * kLongest);
  return out;
}

template <typename Encode>
void add(std::vector<std::string>& forms, std::string_view text, const Encode& encode) {
  std::string form = with_room(text);
  encode(form);
  forms.push_back(std::move(form));
}

void add_spellings(std::vector<std::string>& forms, std::string_view text) {
  add(forms, text, [&](std::string& form) { form = text; });
  if (std::ranges::all_of(text, is_alphanumeric)) return;
  for (const bool upper : {true, false}) {
    for (const auto& encoding : kPercentEncodings) {
      add(forms, text, [&](std::string& form) { percent_encode(text, encoding, upper, form); });
    }
    for (const auto& encoding : kJsonEncodings) {
      add(forms, text, [&](std::string& form) { json_encode(text, encoding, upper, form); });
    }
  }
  for (const auto& encoding : kHtmlEncodings) {
    add(forms, text, [&](std::string& form) { html_encode(text, encoding, form); });
  }
}

}  // namespace

std::vector<std::string> secret_forms(std::string_view secret) {
  std::vector<std::string> forms;
  add_spellings(forms, secret);
  for (const std::string_view alphabet : {kBase64, kBase64Url}) {
    for (std::size_t before = 0; before < 3; ++before) {
      std::string encoded = base64_within(secret, before, alphabet);
      const Wiped wiped(encoded);
      add_spellings(forms, encoded);
    }
  }
  std::ranges::sort(forms);
  const auto twice = std::ranges::unique(forms);
  for (std::string& form : twice) wipe(form);
  forms.erase(twice.begin(), twice.end());
  return forms;
}

}  // namespace microagent::http
