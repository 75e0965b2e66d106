#include "workspace/rules.h"

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <utility>

#include "workspace/mediation.h"
#include "workspace/state.h"

namespace microagent::workspace {
namespace {

std::optional<Violation> find_resource_violation(const Resources& resources) {
  if (resources.memory_mib < kMinMemoryMib || resources.memory_mib > kMaxMemoryMib) {
    return Violation{"resources.memory", fmt::format("{} MiB is out of bounds", resources.memory_mib),
                     fmt::format("give {} to {} MiB, such as 512 or 2GiB", kMinMemoryMib, kMaxMemoryMib)};
  }
  if (resources.cpus < 1 || resources.cpus > kMaxCpus) {
    return Violation{"resources.cpus", fmt::format("{} processors are out of bounds", resources.cpus),
                     fmt::format("give 1 to {}", kMaxCpus)};
  }
  return std::nullopt;
}

// POSIX.1-2017, 8.1: letters, digits and underscores, no digit first.
bool is_variable_name(std::string_view name) {
  const auto is_letter = [](char c) { return (c >= 'A' && c <= 'Z') || (c >= 'a' && c <= 'z') || c == '_'; };
  const auto is_digit = [](char c) { return c >= '0' && c <= '9'; };
  return !name.empty() && is_letter(name[0]) &&
         std::all_of(name.begin(), name.end(), [&](char c) { return is_letter(c) || is_digit(c); });
}

std::optional<Violation> find_variable_violation(const std::string& variable, std::string key) {
  const std::size_t equals = variable.find('=');
  const std::string name = variable.substr(0, equals);
  // The value may be a secret: only the name is repeated.
  if (equals == std::string::npos) {
    return Violation{std::move(key), "the variable has no value", "write NAME=VALUE"};
  }
  if (!is_variable_name(name)) {
    return Violation{std::move(key), fmt::format("\"{}\" is not the name of a variable", name),
                     "use letters, digits and underscores, no digit first"};
  }
  if (variable.find('\0') != std::string::npos) {
    return Violation{std::move(key), fmt::format("the value of {} holds a zero byte", name), "remove it"};
  }
  return std::nullopt;
}

std::optional<Violation> find_words_violation(const Manifest& manifest) {
  std::size_t total = manifest.entrypoint.size();
  for (const std::string& word : manifest.command) total += word.size() + 1;
  for (std::size_t i = 0; i < manifest.env.size(); ++i) {
    if (auto violation = find_variable_violation(manifest.env[i], fmt::format("env[{}]", i))) return violation;
    total += manifest.env[i].size() + 1;
  }
  if (manifest.entrypoint.find('\0') != std::string::npos) {
    return Violation{"entrypoint", "holds a zero byte", "remove it"};
  }
  if (total > kMaxWords) {
    return Violation{"env", fmt::format("environment and command take {} bytes, more than {}", total, kMaxWords),
                     "put large values into a file that the workload reads"};
  }
  return std::nullopt;
}

// What the words of a rule mean is not known here; how long they are is.
bool has_long_word(const EgressRule& rule) {
  const auto is_long = [](const std::string& word) { return word.size() > kMaxEgressWord; };
  return is_long(rule.destination) || is_long(rule.place) ||
         std::ranges::any_of(std::array{&rule.ports, &rule.methods, &rule.paths},
                             [&](const auto* words) { return std::ranges::any_of(*words, is_long); });
}

std::optional<Violation> find_swap_violation(const Manifest& manifest) {
  if (manifest.swaps.empty() || manifest.network.mode == NetworkMode::user) return std::nullopt;
  return Violation{"egress.swaps[0]", "an isolated workspace sends no request that a credential could be put into",
                   "use network mode user, or leave the swap out"};
}

std::optional<Violation> find_egress_violation(const Egress& egress) {
  if (egress.mode != "broker" && egress.mode != "mitm" && egress.mode != "off") {
    return Violation{"egress.mode", "is not a mode", "use broker, mitm or off"};
  }
  const std::array lists{std::pair{"allow", &egress.allow}, std::pair{"deny", &egress.deny},
                         std::pair{"passthrough", &egress.passthrough}};
  const auto is_wrong = [](const std::string& file) { return !file.starts_with('/') || file.size() > kMaxEgressWord; };
  if (const auto found = std::ranges::find_if(egress.trust, is_wrong); found != egress.trust.end()) {
    return Violation{fmt::format("egress.trust[{}]", found - egress.trust.begin()), "is no path of a file",
                     "give a file of certificates in PEM format"};
  }
  if (egress.trust.size() > kMaxTrustFiles) {
    return Violation{"egress.trust", fmt::format("{} files are more than {}", egress.trust.size(), kMaxTrustFiles),
                     "put several certificates into one file"};
  }
  std::size_t total = 0;
  for (const auto& [name, list] : lists) {
    total += list->size();
    const auto found = std::ranges::find_if(*list, has_long_word);
    if (found == list->end()) continue;
    return Violation{fmt::format("egress.{}[{}]", name, found - list->begin()), "a word of the rule is too long",
                     fmt::format("write at most {} bytes", kMaxEgressWord)};
  }
  if (total <= kMaxEgressRules) return std::nullopt;
  return Violation{"egress", fmt::format("{} rules are more than {}", total, kMaxEgressRules),
                   "use suffixes and prefixes"};
}

}  // namespace

std::optional<Violation> find_violation(const Manifest& manifest) {
  if (Status name = check_name(manifest.name); !name) {
    return Violation{"name", name.error().message, name.error().remediation};
  }
  if (auto violation = find_network_violation(manifest.network)) return violation;
  if (auto violation = find_resource_violation(manifest.resources)) return violation;
  if (auto violation = find_words_violation(manifest)) return violation;
  if (auto violation = find_image_violation(manifest)) return violation;
  if (manifest.mediation) {
    if (auto violation = find_mediation_violation(*manifest.mediation)) return violation;
  }
  if (auto violation = find_swap_violation(manifest)) return violation;
  if (auto violation = find_upkeep_violation(manifest)) return violation;
  return find_egress_violation(manifest.egress);
}

}  // namespace microagent::workspace
