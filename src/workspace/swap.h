#pragma once

// Credential swaps as they were declared. What their fields mean is known to src/policy, which the command line asks
// before anything is recorded, and the mediator again. No secret is among them: they say where one is to be found.

#include <map>
#include <nlohmann/json.hpp>
#include <string>
#include <string_view>
#include <vector>

#include "base/result.h"

namespace microagent::workspace {

struct DeclaredSwap {
  std::string name;
  std::string place;                          // where it was written: "swaps.yaml:3: swaps.openai"
  nlohmann::json fields;                      // an object of texts, and of lists and maps of them
  std::map<std::string, std::string> places;  // of its fields

  bool operator==(const DeclaredSwap&) const = default;
};

// As policy/swap.h has it: [{"name","place","fields","places"}...].
nlohmann::json to_json(const std::vector<DeclaredSwap>& swaps);
// Strict, like manifest_from_json().
Result<std::vector<DeclaredSwap>> swaps_from_json(const nlohmann::json& json, std::string_view file);

// For `create` and `status`: [{"name","type","domains"}...], and nothing of what leads to a secret.
nlohmann::json swaps_record(const std::vector<DeclaredSwap>& swaps);

}  // namespace microagent::workspace
