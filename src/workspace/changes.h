#pragma once

// What is declared anew, beside what was: which settings differ, and when the difference can take effect.

#include <string>
#include <string_view>
#include <vector>

#include "workspace/manifest.h"

namespace microagent::workspace {

enum class Effect {
  live,     // while the workspace runs
  restart,  // at its next start
  never,    // it was made with this
};

struct Change {
  std::string key;  // the manifest's: "network.portForwards", "resources.cpus"
  Effect effect = Effect::restart;
  bool operator==(const Change&) const = default;
};

std::string_view to_string(Effect effect);

// In the order of their keys. The times of making are not compared.
std::vector<Change> find_changes(const Manifest& before, const Manifest& after);

}  // namespace microagent::workspace
