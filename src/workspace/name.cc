#include <fmt/format.h>

#include <algorithm>
#include <array>

#include "workspace/state.h"

namespace microagent::workspace {
namespace {

constexpr std::size_t kMaxName = 63;  // a DNS label: it is the guest's host name too (RFC 1123, 2.1)

// The words that may follow `egress` or `network` on the command line.
constexpr std::array<std::string_view, 9> kReserved{"allow", "deny", "passthrough", "remove",   "explain",
                                                    "learn", "list", "publish",     "unpublish"};

bool is_name_character(char c) { return (c >= 'a' && c <= 'z') || (c >= '0' && c <= '9') || c == '-'; }

// For a message: short and printable, whatever was given.
std::string shown(std::string_view name) {
  std::string text;
  for (const char c : name.substr(0, 40)) text += c >= ' ' && c <= '~' ? c : '?';
  return name.size() > 40 ? text + "..." : text;
}

}  // namespace

bool is_volume_name(std::string_view name) {
  return !name.empty() && name.size() <= kMaxName && name[0] != '-' &&
         std::all_of(name.begin(), name.end(), is_name_character);
}

Status check_name(std::string_view name) {
  constexpr const char* kRemedy = "use 1 to 63 of the characters a-z, 0-9 and -, beginning with a letter or a digit";
  if (name.empty()) return fail(ErrorKind::usage, "the workspace name is empty", kRemedy);
  if (name.size() > kMaxName) {
    return fail(
        ErrorKind::usage,
        fmt::format("the workspace name \"{}\" has {} characters, more than {}", shown(name), name.size(), kMaxName),
        kRemedy);
  }
  if (!is_volume_name(name)) {
    return fail(ErrorKind::usage, fmt::format("\"{}\" is not a workspace name", shown(name)), kRemedy);
  }
  if (std::find(kReserved.begin(), kReserved.end(), name) != kReserved.end()) {
    return fail(ErrorKind::usage, fmt::format("\"{}\" is a word of the command line, not a workspace name", name),
                "choose another name");
  }
  return {};
}

}  // namespace microagent::workspace
