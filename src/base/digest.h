#pragma once

#include <optional>
#include <string_view>

namespace microagent {

// The 64 lower-case hexadecimal digits of a SHA-256.
constexpr bool is_sha256_digits(std::string_view text) {
  return text.size() == 64 && text.find_first_not_of("0123456789abcdef") == std::string_view::npos;
}

// Those of "sha256:DIGITS", as OCI writes a digest; nothing for anything else.
constexpr std::optional<std::string_view> digits_of_digest(std::string_view digest) {
  constexpr std::string_view kPrefix = "sha256:";
  if (!digest.starts_with(kPrefix) || !is_sha256_digits(digest.substr(kPrefix.size()))) return std::nullopt;
  return digest.substr(kPrefix.size());
}

}  // namespace microagent
