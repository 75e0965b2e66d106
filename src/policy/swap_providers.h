#pragma once

#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "base/result.h"
#include "policy/swap.h"

namespace microagent::policy {

// What `--cred-swap PROVIDER[=REF]` stands for.
struct ProviderSwap {
  std::vector<SwapText> swaps;
  std::vector<std::string> hosts;  // to be allowed
  // What the guest's environment gets, so that the provider's own clients start: each variable holds no secret.
  std::vector<std::pair<std::string, std::string>> environment;
};

// "openai", or "openai=file:/run/secrets/openai". Without a reference it is the provider's usual variable. Kind usage.
Result<ProviderSwap> provider_swap(std::string_view flag);

std::string provider_names();  // "anthropic, deepseek, ..."

}  // namespace microagent::policy
