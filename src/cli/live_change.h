#pragma once

// A change of what is declared, made where it counts: in the manifest, and in the workspace that runs.

#include <functional>
#include <optional>
#include <string>

#include "workspace/state.h"

namespace microagent::cli {

// Lets what the manifest holds now take effect where the workspace runs; nothing where it does not, or for a copy
// alone. Where it cannot take effect the manifest becomes `before` again, so that it says what is.
template <typename Apply>
auto bring_into_effect(const workspace::Store& store, const workspace::Manifest& before, const Apply& apply) -> Result<
    std::optional<typename std::invoke_result_t<Apply, const workspace::Store&, const std::string&>::value_type>> {
  using Applied = typename std::invoke_result_t<Apply, const workspace::Store&, const std::string&>::value_type;
  const auto runtime = store.load_settled_runtime(before.name);
  if (!runtime) return fail(runtime.error());
  if (!workspace::is_alive(runtime->state) || runtime->for_a_copy()) return std::nullopt;
  auto applied = apply(store, before.name);
  if (applied) return std::optional<Applied>(std::move(*applied));
  const auto locked = store.locked(before.name);
  if (locked && !*locked) return std::nullopt;  // it has ended in the meantime
  if (Status restored = store.replace_manifest(before); !restored) return fail(restored.error());
  return fail(applied.error());
}

}  // namespace microagent::cli
