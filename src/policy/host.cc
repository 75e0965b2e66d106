#include "policy/host.h"

#include <fmt/format.h>
#include <idn2.h>

#include <algorithm>
#include <charconv>
#include <memory>

#include "base/ascii.h"

namespace microagent::policy {
namespace {

constexpr std::size_t kMaxLabel = 63;
// More cannot become a name: UTF-8 and the mapping shrink a text by less than this.
constexpr std::size_t kMaxText = 1024;

tl::unexpected<Error> bad(std::string_view why) {
  return fail(ErrorKind::usage, std::string(why), "write a name such as api.example.com, or an IP address");
}

bool is_digit(char c) { return c >= '0' && c <= '9'; }
bool is_hex(char c) { return is_digit(c) || (c >= 'a' && c <= 'f'); }
bool is_ascii(std::string_view text) {
  return std::ranges::all_of(text, [](char c) { return static_cast<unsigned char>(c) < 0x80; });
}

// Non-ASCII text as a registry would write it (RFC 5891 after the mapping of UTS 46, which also turns full-width digits
// and dots into plain ones); lower case either way. Nothing where it has no such form.
std::optional<std::string> to_ascii(std::string_view text) {
  if (is_ascii(text)) return to_lower_ascii(text);
  char* converted = nullptr;
  const int outcome = ::idn2_to_ascii_8z(std::string(text).c_str(), &converted, IDN2_NFC_INPUT | IDN2_NONTRANSITIONAL);
  if (outcome != IDN2_OK) return std::nullopt;
  const std::unique_ptr<char, decltype(&::idn2_free)> owned(converted, [](void* memory) { ::idn2_free(memory); });
  return to_lower_ascii(converted);
}

bool is_name_character(char c) { return (c >= 'a' && c <= 'z') || is_digit(c) || c == '-' || c == '_'; }

// What inet_aton(3) and URL parsers take for a number: 127, 017, 0x7f, 0x.
bool is_number(std::string_view label) {
  if (label.starts_with("0x")) return std::ranges::all_of(label.substr(2), is_hex);
  return std::ranges::all_of(label, is_digit);
}

std::string_view last_label(std::string_view name) {
  const std::size_t dot = name.rfind('.');
  return dot == std::string_view::npos ? name : name.substr(dot + 1);
}

// Why an ASCII text in lower case, without its final dot, is no name; nothing when it is one.
std::optional<std::string_view> name_fault(std::string_view name) {
  if (name.empty()) return "is empty";
  if (name.size() > kMaxHostName) return "is longer than a name can be";
  for (std::string_view rest = name;; rest = parent_name(rest)) {
    const std::string_view label = rest.substr(0, rest.find('.'));
    if (label.empty()) return "has an empty label";
    if (label.size() > kMaxLabel) return "has a label of more than 63 characters";
    if (!std::ranges::all_of(label, is_name_character)) return "has characters that no host name has";
    if (label.size() == rest.size()) return std::nullopt;
  }
}

Result<Host> parse_ipv6(std::string_view text) {
  if (text.starts_with('[') != text.ends_with(']')) return bad("has one bracket");
  if (text.starts_with('[')) text = text.substr(1, text.size() - 2);
  const auto address = parse_address(text);
  if (!address || address->family != Address::Family::ipv6) return bad("is not an IPv6 address");
  return unmapped(*address);
}

}  // namespace

Result<Host> parse_host(std::string_view text) {
  if (text.empty()) return bad("is empty");
  if (text.size() > kMaxText) return bad("is longer than a name can be");
  if (text.find('\0') != std::string_view::npos) return bad("holds a zero byte");
  if (text.find(':') != std::string_view::npos || text.starts_with('[')) return parse_ipv6(text);

  auto name = to_ascii(text);
  if (!name) return bad("is not an internationalised name");
  if (const auto address = parse_address(*name)) return *address;
  if (name->ends_with('.')) name->pop_back();
  if (const auto why = name_fault(*name)) return bad(*why);
  if (is_number(last_label(*name))) return bad("could be read as an IP address");
  return std::move(*name);
}

std::optional<std::string> canonical_name(std::string_view text) {
  auto host = parse_host(text);
  if (!host || !std::holds_alternative<std::string>(*host)) return std::nullopt;
  return std::get<std::string>(std::move(*host));
}

Result<Authority> parse_authority(std::string_view text) {
  std::string_view host = text, digits;
  const std::size_t colon = text.rfind(':');
  const bool bracketed = text.starts_with('[');
  if (colon != std::string_view::npos && (!bracketed || text[colon - 1] == ']')) {
    host = text.substr(0, colon);
    digits = text.substr(colon + 1);
    if (digits.empty()) return bad("has an empty port");
  }
  if (!bracketed && host.find(':') != std::string_view::npos) return bad("is an IPv6 address without brackets");
  auto parsed = parse_host(host);
  if (!parsed) return fail(parsed.error());
  if (digits.empty()) return Authority{std::move(*parsed), std::nullopt};

  std::uint16_t port = 0;
  const auto [end, error] = std::from_chars(digits.data(), digits.data() + digits.size(), port);
  if (error != std::errc() || end != digits.data() + digits.size() || digits[0] == '0') return bad("has no such port");
  return Authority{std::move(*parsed), port};
}

std::string to_string(const Host& host) {
  if (const auto* name = std::get_if<std::string>(&host)) return *name;
  return to_string(std::get<Address>(host));
}

std::string_view parent_name(std::string_view name) {
  const std::size_t dot = name.find('.');
  return dot == std::string_view::npos ? std::string_view() : name.substr(dot + 1);
}

}  // namespace microagent::policy
