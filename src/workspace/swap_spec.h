#pragma once

// The swaps of a spec (`egress.swaps`), and the file of --egress-swap-config, which holds them under `swaps`:
//
//   swaps:
//     payments:                        # a name for records and errors
//       type: static                   # or oauth2-cc, jwt-bearer
//       domains: [api.example.com]
//       key_ref: env:PAYMENTS_KEY      # never the secret itself
//       format: Bearer {key}
//
// Which fields there are and what they hold is for src/policy to say, which is told where each stands.

#include <filesystem>
#include <string_view>
#include <vector>

#include "base/result.h"
#include "workspace/swap.h"
#include "workspace/yaml_reader.h"

namespace microagent::workspace {

// Reads the map of swaps into `out`; what is wrong is kept in `yaml`.
void read_swaps_map(YamlReader& yaml, const YamlValue& value, std::vector<DeclaredSwap>& out);

// Unknown keys beside `swaps`, wrong types and duplicate keys are errors that say FILE:LINE.
Result<std::vector<DeclaredSwap>> load_swap_file(const std::filesystem::path& path);
// `file` is the name in messages.
Result<std::vector<DeclaredSwap>> parse_swap_file(std::string_view text, std::string_view file);

}  // namespace microagent::workspace
