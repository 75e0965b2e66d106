#include "cli/swap_environment.h"

#include <fmt/format.h>

#include <algorithm>
#include <cstdlib>
#include <map>

namespace microagent::cli {
namespace {

using policy::Swap;

constexpr std::size_t kMinSecret = 8;  // a shorter one stands in other words by chance

// The variables that swaps name, each once, with the swap that needs it most.
struct Wanted {
  bool secret = false, optional = true;
  std::string swap;
};
using WantedVariables = std::map<std::string, Wanted>;

WantedVariables wanted_by(const policy::SwapSet& swaps) {
  WantedVariables all;
  for (const policy::SwapPtr& swap : swaps.all()) {
    for (const Swap::Variable& variable : swap->variables()) {
      Wanted& wanted = all[variable.name];
      wanted.secret = wanted.secret || variable.secret;
      if (wanted.swap.empty() || (wanted.optional && !variable.optional)) wanted.swap = swap->name;
      wanted.optional = wanted.optional && variable.optional;
    }
  }
  return all;
}

std::string_view without_line_end(std::string_view text) {
  while (text.ends_with('\n') || text.ends_with('\r')) text.remove_suffix(1);
  return text;
}

Status check_guest(const std::string& name, std::string_view value, const workspace::Manifest& manifest) {
  const std::string_view secret = without_line_end(value);
  if (secret.size() < kMinSecret) return {};
  const auto given_away = [&](const std::string& where) {
    return fail(ErrorKind::permanent,
                fmt::format("{} holds what the variable {} does: the guest would have the secret", where, name),
                "create the workspace without it");
  };
  for (const std::string& variable : manifest.env) {
    if (variable.find(secret) == std::string::npos) continue;
    return given_away(fmt::format("the guest's variable {}", variable.substr(0, variable.find('='))));
  }
  if (manifest.entrypoint.find(secret) != std::string::npos) return given_away("the guest's entrypoint");
  return {};
}

}  // namespace

Result<supervisor::SwapVariables> read_swap_variables(const policy::SwapSet& swaps,
                                                      const workspace::Manifest& manifest) {
  supervisor::SwapVariables variables;
  for (const auto& [name, wanted] : wanted_by(swaps)) {
    const char* value = std::getenv(name.c_str());
    const bool there = value != nullptr && *value != '\0';
    if (!there && wanted.optional) continue;
    if (!there) {
      return fail(ErrorKind::permanent,
                  fmt::format("the variable {}, which the swap {} takes its credential from, is {}", name, wanted.swap,
                              value == nullptr ? "not set" : "empty"),
                  fmt::format("export {} where you start the workspace", name));
    }
    if (wanted.secret) {
      if (Status safe = check_guest(name, value, manifest); !safe) return fail(safe.error());
    }
    variables.add(name, value);
  }
  return variables;
}

}  // namespace microagent::cli
