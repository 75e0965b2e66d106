#include <fmt/format.h>

#include <algorithm>

#include "base/base64.h"
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

bool is_unreserved(char c) {
  const char small = lower(c);
  return is_digit(c) || (small >= 'a' && small <= 'z') || std::string_view("-._~").find(c) != std::string_view::npos;
}

std::string percent_encoded(std::string_view secret, std::string_view kept, bool upper, bool plus) {
  std::string out;
  for (const char c : secret) {
    if (is_unreserved(c) || kept.find(c) != std::string_view::npos) {
      out.push_back(c);
    } else if (plus && c == ' ') {
      out.push_back('+');
    } else {
      const auto byte = static_cast<unsigned char>(c);
      out += upper ? fmt::format("%{:02X}", byte) : fmt::format("%{:02x}", byte);
    }
  }
  return out;
}

// `careful`: as writers do who have HTML around it.
std::string json_escaped(std::string_view secret, bool slash, bool careful) {
  std::string out;
  for (const char c : secret) {
    if (c == '"' || c == '\\' || (slash && c == '/')) {
      out.push_back('\\');
      out.push_back(c);
    } else if (careful && std::string_view("<>&'+=").find(c) != std::string_view::npos) {
      out += fmt::format("\\u{:04x}", static_cast<unsigned char>(c));
    } else {
      out.push_back(c);
    }
  }
  return out;
}

}  // namespace

std::vector<std::string> secret_forms(std::string_view secret) {
  std::vector<std::string> forms{std::string(secret)};
  for (const std::string_view alphabet : {kBase64, kBase64Url}) {
    for (std::size_t before = 0; before < 3; ++before) forms.push_back(base64_within(secret, before, alphabet));
  }
  for (const bool upper : {true, false}) {
    for (const std::string_view kept : {"", "!'()*", "!$&'()*+,;=:@/?", "*"}) {
      for (const bool plus : {true, false}) forms.push_back(percent_encoded(secret, kept, upper, plus));
    }
  }
  for (const bool slash : {true, false}) {
    for (const bool careful : {true, false}) forms.push_back(json_escaped(secret, slash, careful));
  }
  std::ranges::sort(forms);
  forms.erase(std::unique(forms.begin(), forms.end()), forms.end());
  return forms;
}

}  // namespace microagent::http
