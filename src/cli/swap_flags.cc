#include "cli/swap_flags.h"

#include <fmt/format.h>

#include <algorithm>
#include <utility>

#include "cli/egress_rules.h"
#include "policy/swap_providers.h"
#include "workspace/swap_spec.h"

namespace microagent::cli {
namespace {

using workspace::Declaration;
using workspace::DeclaredSwap;

// The two folders know one layout, and nothing of each other.
Status append(const std::vector<policy::SwapText>& texts, const std::string& place, std::vector<DeclaredSwap>& swaps) {
  auto declared = workspace::swaps_from_json(policy::to_json(texts), place);
  if (!declared) return fail(declared.error());
  std::ranges::move(*declared, std::back_inserter(swaps));
  return {};
}

// A value that somebody else gives might be the very secret, and a guest that holds it has no need of us.
Status set_placeholder(const std::pair<std::string, std::string>& variable, const std::string& place,
                       Declaration& declaration) {
  const auto& [name, placeholder] = variable;
  const auto other = std::ranges::find_if(
      declaration.env, [&](const auto& entry) { return entry.value.substr(0, entry.value.find('=')) == name; });
  if (other == declaration.env.end()) {
    declaration.env.push_back({fmt::format("{}={}", name, placeholder), place});
    return {};
  }
  return fail(ErrorKind::usage, fmt::format("{}: {} is the guest's placeholder of {}", other->place, name, place),
              "leave the variable out; the credential is put into the guest's requests outside of it");
}

Status add_provider(const std::string& word, const std::string& place, Declaration& declaration) {
  auto provider = policy::provider_swap(word);
  if (!provider) return fail(provider.error());
  if (Status added = append(provider->swaps, place, declaration.egress.swaps); !added) return added;
  for (const std::string& host : provider->hosts) {
    workspace::EgressRule rule;
    rule.destination = host + ":443";
    rule.place = place;
    declaration.egress.allow.push_back(std::move(rule));
  }
  for (const auto& variable : provider->environment) {
    if (Status set = set_placeholder(variable, place, declaration); !set) return set;
  }
  return {};
}

}  // namespace

void add_swap_flags(CLI::App& command, SwapOptions& options) {
  add_list(command, "--cred-swap", options.providers,
           fmt::format("put a key into requests to {}, of which the guest has a placeholder; REF is env:NAME, "
                       "file:PATH, vault:MOUNT/data/PATH#FIELD or helper:PROGRAM; may be repeated",
                       policy::provider_names()))
      ->type_name("PROVIDER[=REF]");
  add_list(command, "--egress-swap-config", options.files,
           "credentials for any host, of any kind; a YAML file (docs/credentials.md), may be repeated")
      ->type_name("FILE");
}

Status add_swaps(const SwapOptions& options, Declaration& declaration) {
  for (const std::string& file : options.files) {
    auto swaps = workspace::load_swap_file(file);
    if (!swaps) return fail(with_context(swaps.error(), "--egress-swap-config"));
    std::ranges::move(*swaps, std::back_inserter(declaration.egress.swaps));
  }
  for (const std::string& word : options.providers) {
    // What stands behind the provider may be a secret that was put there by mistake.
    const std::string place = fmt::format("--cred-swap {}", word.substr(0, word.find('=')));
    if (Status added = add_provider(word, place, declaration); !added) return added;
  }
  for (const auto& [word, place] : std::exchange(declaration.providers, {})) {
    if (Status added = add_provider(word, place, declaration); !added) return fail(with_context(added.error(), place));
  }
  return {};
}

Result<policy::SwapSet> swap_set(const std::vector<DeclaredSwap>& swaps) {
  const auto texts = policy::swaps_from_json(workspace::to_json(swaps), "swaps");
  if (!texts) return fail(texts.error());
  return policy::SwapSet::compile(*texts);
}

Result<std::vector<policy::Misfit>> find_misfits(const workspace::Manifest& manifest) {
  if (manifest.swaps.empty()) return std::vector<policy::Misfit>();
  const auto swaps = swap_set(manifest.swaps);
  if (!swaps) return fail(swaps.error());
  const auto text = policy_text(manifest.egress);
  if (!text) return fail(text.error());
  const auto policy = policy::Policy::compile(*text);
  if (!policy) return fail(policy.error());
  return policy::find_misfits(*swaps, *policy);
}

void warn_of(const policy::Misfit& misfit) {
  say(fmt::format("microagent: warning: {}: no credential goes there; hint: {}", misfit.message, misfit.remedy));
}

Status check_swaps(const workspace::Manifest& manifest) {
  auto misfits = find_misfits(manifest);
  if (!misfits) return fail(misfits.error());
  if (misfits->empty()) return {};
  return fail(ErrorKind::usage, std::move(misfits->front().message), std::move(misfits->front().remedy));
}

}  // namespace microagent::cli
