#include "workspace/changes.h"

#include <algorithm>
#include <array>
#include <nlohmann/json.hpp>
#include <set>

namespace microagent::workspace {
namespace {

using Json = nlohmann::json;

// Sections whose members are told one by one. The policy is one thing, but for what only the start reads.
constexpr std::array<std::string_view, 2> kSections{"network", "resources"};
constexpr std::array<std::string_view, 2> kLive{"network.portForwards", "egress"};
constexpr std::array<std::string_view, 4> kMade{"image", "resources.diskMiB", "volumes", "bundles"};

bool among(const auto& keys, std::string_view key) { return std::ranges::find(keys, key) != keys.end(); }

Effect effect_of(std::string_view key) {
  if (among(kLive, key)) return Effect::live;
  return among(kMade, key) ? Effect::never : Effect::restart;
}

// What is compared, by its key.
Json flattened(const Manifest& manifest) {
  Json json = to_json(manifest);
  json.erase("createdAt");
  Json flat = Json::object();
  if (const auto egress = json.find("egress"); egress != json.end() && egress->contains("trust")) {
    flat["egress.trust"] = std::move((*egress)["trust"]);
    egress->erase("trust");
  }
  for (auto& [key, value] : json.items()) {
    if (!among(kSections, key)) flat[key] = std::move(value);
    else
      for (auto& [member, inner] : value.items()) flat[key + "." + member] = std::move(inner);
  }
  return flat;
}

}  // namespace

std::string_view to_string(Effect effect) {
  switch (effect) {
    case Effect::live: return "live";
    case Effect::restart: return "restart";
    case Effect::never: return "never";
  }
  return "";
}

std::vector<Change> find_changes(const Manifest& before, const Manifest& after) {
  const Json was = flattened(before), is = flattened(after);
  std::set<std::string> keys;
  for (const Json& side : {was, is}) {
    for (const auto& [key, value] : side.items()) keys.insert(key);
  }
  std::vector<Change> changes;
  for (const std::string& key : keys) {
    if (was.value(key, Json()) != is.value(key, Json())) changes.push_back({key, effect_of(key)});
  }
  return changes;
}

}  // namespace microagent::workspace
