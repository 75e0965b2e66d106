#include "policy/secret_ref.h"

#include <algorithm>
#include <array>
#include <utility>

namespace microagent::policy {
namespace {

using Scheme = SecretRef::Scheme;

constexpr std::size_t kMaxReference = 4096;
constexpr std::array kSchemes{
    std::pair{std::string_view("env:"), Scheme::env}, std::pair{std::string_view("file:"), Scheme::file},
    std::pair{std::string_view("vault:"), Scheme::vault}, std::pair{std::string_view("helper:"), Scheme::helper}};

tl::unexpected<Error> wrong(const char* why, const char* remedy) { return fail(ErrorKind::usage, why, remedy); }

bool is_letter(char c) { return (c >= 'A' && c <= 'Z') || (c >= 'a' && c <= 'z') || c == '_'; }
bool is_digit(char c) { return c >= '0' && c <= '9'; }
bool is_path_character(char c) { return is_letter(c) || is_digit(c) || c == '/' || c == '-' || c == '.'; }

// MOUNT/data/PATH, and what stands there goes into a URL as it is.
bool is_vault_path(std::string_view path) {
  if (path.starts_with('/') || path.ends_with('/') || path.find("//") != path.npos || path.find("..") != path.npos) {
    return false;
  }
  const std::size_t data = path.find("/data/");
  return data != path.npos && data > 0 && std::ranges::all_of(path, is_path_character);
}

}  // namespace

bool is_environment_name(std::string_view text) {
  return !text.empty() && is_letter(text.front()) &&
         std::ranges::all_of(text, [](char c) { return is_letter(c) || is_digit(c); });
}

Result<SecretRef> parse_secret_ref(std::string_view text) {
  const auto scheme = std::ranges::find_if(kSchemes, [&](const auto& known) { return text.starts_with(known.first); });
  if (scheme == kSchemes.end()) {
    return wrong("is no reference to a secret",
                 "secrets are never written here: say env:NAME, file:PATH, vault:MOUNT/data/PATH#FIELD or "
                 "helper:PROGRAM");
  }
  SecretRef ref{scheme->second, std::string(text.substr(scheme->first.size())), {}};
  const auto is_control = [](char c) { return static_cast<unsigned char>(c) < 0x20 || c == 0x7f; };
  if (text.size() > kMaxReference || std::ranges::any_of(text, is_control)) {
    return wrong("is no reference to a secret: it is too long or holds control characters", "write it on one line");
  }
  switch (ref.scheme) {
    case Scheme::env:
      if (is_environment_name(ref.target)) return ref;
      return wrong("env: names no variable", "write env:NAME, such as env:OPENAI_API_KEY");
    case Scheme::file:
      if (ref.target.starts_with('/')) return ref;
      return wrong("file: names no absolute path", "write file:/PATH");
    case Scheme::vault: {
      const std::size_t hash = ref.target.find('#');
      if (hash == std::string::npos || hash + 1 == ref.target.size() || !is_vault_path(ref.target.substr(0, hash))) {
        return wrong("vault: names no field of a KV version 2 secret", "write vault:MOUNT/data/PATH#FIELD");
      }
      ref.field = ref.target.substr(hash + 1);
      ref.target.resize(hash);
      return ref;
    }
    case Scheme::helper:
      if (ref.target.starts_with('/')) return ref;
      return wrong("helper: names no program by its absolute path", "write helper:/PATH/PROGRAM WORDS...");
  }
  return wrong("is no reference to a secret", "");
}

std::string to_string(const SecretRef& ref) {
  const auto scheme = std::ranges::find(kSchemes, ref.scheme, [](const auto& known) { return known.second; });
  std::string text(scheme->first);
  text += ref.target;
  if (!ref.field.empty()) text.append("#").append(ref.field);
  return text;
}

}  // namespace microagent::policy
