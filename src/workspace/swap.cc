#include "workspace/swap.h"

#include <fmt/format.h>

#include <algorithm>

#include "workspace/json_fields.h"

namespace microagent::workspace {
namespace {

using Json = nlohmann::json;

// What records show is what it should be, where it is there.
bool can_be_shown(const Json& fields) {
  const auto type = fields.find("type"), domains = fields.find("domains");
  if (type != fields.end() && !type->is_string()) return false;
  return domains == fields.end() ||
         (domains->is_array() && std::ranges::all_of(*domains, [](const Json& domain) { return domain.is_string(); }));
}

Status read_swap(const Json& json, std::string_view file, std::string path, DeclaredSwap& swap) {
  JsonFields fields(json, file, std::move(path));
  fields.read("name", swap.name);
  fields.read_if_there("place", swap.place);
  if (const Json* object = fields.nested("fields", true)) {
    if (!object->is_object()) fields.reject("fields", "is not an object");
    else if (!can_be_shown(*object)) fields.reject("fields", "holds a type or domains of the wrong type");
    swap.fields = *object;
  }
  const Json* places = fields.nested("places", false);
  if (places != nullptr && !places->is_object()) fields.reject("places", "is not an object");
  if (places != nullptr && places->is_object()) {
    for (const auto& [field, place] : places->items()) {
      if (place.is_string()) swap.places.emplace(field, place.get<std::string>());
      else fields.reject("places", "holds something that is not a string");
    }
  }
  return fields.finish();
}

}  // namespace

Json to_json(const std::vector<DeclaredSwap>& swaps) {
  Json list = Json::array();
  for (const DeclaredSwap& swap : swaps) {
    Json json = {{"name", swap.name}, {"fields", swap.fields}};
    if (!swap.place.empty()) json["place"] = swap.place;
    if (!swap.places.empty()) json["places"] = swap.places;
    list.push_back(std::move(json));
  }
  return list;
}

Result<std::vector<DeclaredSwap>> swaps_from_json(const Json& json, std::string_view file) {
  if (!json.is_array()) return fail(foreign_file(file, "\"swaps\" is not a list"));
  std::vector<DeclaredSwap> swaps;
  for (const Json& item : json) {
    DeclaredSwap swap;
    if (Status read = read_swap(item, file, fmt::format("swaps[{}].", swaps.size()), swap); !read) {
      return fail(read.error());
    }
    swaps.push_back(std::move(swap));
  }
  return swaps;
}

Json swaps_record(const std::vector<DeclaredSwap>& swaps) {
  Json list = Json::array();
  for (const DeclaredSwap& swap : swaps) {
    list.push_back({{"name", swap.name},
                    {"type", swap.fields.value("type", Json())},
                    {"domains", swap.fields.value("domains", Json::array())}});
  }
  return list;
}

}  // namespace microagent::workspace
