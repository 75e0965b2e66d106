#include "policy/swap_providers.h"

#include <fmt/format.h>

#include <algorithm>
#include <array>

namespace microagent::policy {
namespace {

struct Provider {
  std::string_view name, variable;
  std::array<std::string_view, 3> hosts;
  std::string_view header = "Authorization", format = "Bearer {key}";
};

// https://platform.openai.com/docs/api-reference/authentication and the like of the others.
constexpr std::array kProviders{
    Provider{"anthropic", "ANTHROPIC_API_KEY", {"api.anthropic.com"}, "x-api-key", "{key}"},
    Provider{"deepseek", "DEEPSEEK_API_KEY", {"api.deepseek.com"}},
    Provider{"gemini", "GEMINI_API_KEY", {"generativelanguage.googleapis.com"}, "x-goog-api-key", "{key}"},
    Provider{"github", "GITHUB_TOKEN", {"api.github.com", "uploads.github.com"}},
    Provider{"groq", "GROQ_API_KEY", {"api.groq.com"}},
    Provider{"huggingface", "HF_TOKEN", {"huggingface.co", "router.huggingface.co"}},
    Provider{"mistral", "MISTRAL_API_KEY", {"api.mistral.ai"}},
    Provider{"openai", "OPENAI_API_KEY", {"api.openai.com"}},
    Provider{"openrouter", "OPENROUTER_API_KEY", {"openrouter.ai"}},
};

SwapText swap_text(std::string_view name, const std::string& ref) {
  SwapText text;
  text.name = name;
  text.place = fmt::format("--cred-swap {}", name);
  text.fields = {{"type", "static"}, {"key_ref", ref}};
  return text;
}

// Git itself sends a user and a password, and GitHub takes a token for the latter.
void add_git(ProviderSwap& swap, const std::string& ref) {
  SwapText text = swap_text("github-git", ref);
  text.place = "--cred-swap github";
  text.fields["domains"] = {"github.com"};
  text.fields["basic"] = "x-access-token";
  swap.swaps.push_back(std::move(text));
  swap.hosts.emplace_back("github.com");
}

}  // namespace

std::string provider_names() {
  std::string names;
  for (const Provider& provider : kProviders) names.append(names.empty() ? "" : ", ").append(provider.name);
  return names;
}

Result<ProviderSwap> provider_swap(std::string_view flag) {
  const std::size_t equals = std::min(flag.find('='), flag.size());
  const std::string_view word = flag.substr(0, equals);
  const auto provider = std::ranges::find(kProviders, word, &Provider::name);
  if (provider == kProviders.end()) {
    return fail(ErrorKind::usage, "--cred-swap: the provider is not known",
                fmt::format("known are {}; for others use --egress-swap-config", provider_names()));
  }
  std::string ref = fmt::format("env:{}", provider->variable);
  if (equals < flag.size()) ref = flag.substr(equals + 1);
  if (const auto parsed = parse_secret_ref(ref); !parsed) {
    return fail(with_context(parsed.error(), fmt::format("--cred-swap {}", word)));
  }
  ProviderSwap swap;
  SwapText text = swap_text(word, ref);
  for (const std::string_view host : provider->hosts) {
    if (!host.empty()) swap.hosts.emplace_back(host);
  }
  text.fields["domains"] = swap.hosts;
  text.fields["header"] = provider->header;
  text.fields["format"] = provider->format;
  swap.swaps.push_back(std::move(text));
  if (word == "github") add_git(swap, ref);
  swap.environment.emplace_back(provider->variable, fmt::format("microagent-placeholder-{}", word));
  return swap;
}

}  // namespace microagent::policy
