#include "policy/path.h"

#include <algorithm>

#include "base/percent.h"

namespace microagent::policy {
namespace {

constexpr std::size_t kMaxPattern = 2048;

bool is_control(char c) { return static_cast<unsigned char>(c) <= 0x20 || c == 0x7f; }

// Some servers end a path, or begin another, at these.
bool is_ambiguous(char c) { return is_control(c) || c == '\\' || c == '#'; }

// Appends what stands at the front of `rest` and takes it away; false where it is ambiguous.
bool take_character(std::string_view& rest, std::string& path) {
  if (rest.front() != '%') {
    if (is_ambiguous(rest.front())) return false;
    path.push_back(rest.front());
    rest.remove_prefix(1);
    return true;
  }
  const auto byte = percent_decoded(rest);
  // An encoded space is a space; every other encoded control byte is a trap.
  if (!byte || *byte == '/' || *byte == '%' || (*byte != ' ' && is_ambiguous(*byte))) return false;
  if (is_unreserved(*byte)) {
    path.push_back(*byte);
  } else {
    const auto encoded = percent_encoded(*byte);
    path.append(encoded.begin(), encoded.end());
  }
  rest.remove_prefix(3);
  return true;
}

// "//", "/./", "/../", and the same at the end, but for one final slash. Some servers cut ";parameters" off a segment
// before they look for dots.
bool has_odd_segment(std::string_view path) {
  for (std::size_t start = 1; start < path.size();) {
    const std::size_t slash = std::min(path.find('/', start), path.size());
    const std::string_view segment = path.substr(start, slash - start);
    const std::string_view bare = segment.substr(0, segment.find(';'));
    if (bare.empty() || bare == "." || bare == "..") return true;
    start = slash + 1;
  }
  return false;
}

}  // namespace

std::optional<std::string> canonical_path(std::string_view target) {
  std::string_view rest = target.substr(0, target.find('?'));
  if (!rest.starts_with('/')) return std::nullopt;
  std::string path;
  path.reserve(rest.size());
  while (!rest.empty()) {
    if (!take_character(rest, path)) return std::nullopt;
  }
  if (has_odd_segment(path)) return std::nullopt;
  return path;
}

Result<std::string> parse_path_pattern(std::string_view text) {
  constexpr const char* kForm = "write a path such as /v1/models, or /v1/* for everything below";
  if (text.size() > kMaxPattern) return fail(ErrorKind::usage, "is too long for a path", kForm);
  const bool open = text.ends_with('*');
  const std::string_view fixed = open ? text.substr(0, text.size() - 1) : text;
  if (fixed.find('*') != std::string_view::npos) return fail(ErrorKind::usage, "has a * before its end", kForm);
  if (fixed.find('?') != std::string_view::npos) return fail(ErrorKind::usage, "has a query", kForm);
  auto path = canonical_path(fixed);
  if (!path) return fail(ErrorKind::usage, "is not a plain path", kForm);
  if (open) path->push_back('*');
  return std::move(*path);
}

bool matches_path(std::string_view pattern, std::string_view path) {
  if (pattern.ends_with('*')) return path.starts_with(pattern.substr(0, pattern.size() - 1));
  return pattern == path;
}

}  // namespace microagent::policy
