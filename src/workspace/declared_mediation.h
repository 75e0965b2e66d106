#pragma once

// The mediation channel between flags, spec and manifest.

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

#include "base/result.h"
#include "workspace/declared.h"
#include "workspace/manifest.h"

namespace microagent::workspace {

struct DeclaredMediation {
  std::optional<Declared<bool>> enabled, required, fail_closed;
  std::optional<Declared<std::uint32_t>> port;
  std::optional<Declared<std::string>> target;
};

// "true" or "false". Kind usage.
Result<bool> parse_switch(std::string_view text);

// Flags win, value by value.
DeclaredMediation unite(DeclaredMediation flags, DeclaredMediation spec);

// The channel, or nothing when none is declared. A declared one is enabled, required and fails closed unless it says
// otherwise. Kind usage; the message says the place. The rules for its values are find_mediation_violation()'s.
Result<std::optional<Mediation>> resolve(const DeclaredMediation& declared);

}  // namespace microagent::workspace
