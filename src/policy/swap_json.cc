#include <fmt/format.h>

#include <nlohmann/json.hpp>

#include "policy/swap.h"

namespace microagent::policy {

using Json = nlohmann::json;

Json to_json(const std::vector<SwapText>& texts) {
  Json list = Json::array();
  for (const SwapText& text : texts) {
    Json entry = {{"name", text.name}, {"fields", text.fields}};
    if (!text.place.empty()) entry["place"] = text.place;
    if (!text.places.empty()) entry["places"] = text.places;
    list.push_back(std::move(entry));
  }
  return list;
}

Result<std::vector<SwapText>> swaps_from_json(const Json& json, std::string_view where) {
  const auto bad = [&](std::size_t index, std::string_view why) {
    return fail(ErrorKind::permanent, fmt::format("{}[{}]: {}", where, index, why));
  };
  if (!json.is_array()) return fail(ErrorKind::permanent, fmt::format("{}: a list is wanted", where));
  std::vector<SwapText> texts;
  for (const Json& item : json) {
    const std::size_t index = texts.size();
    if (!item.is_object()) return bad(index, "an object is wanted");
    SwapText text;
    for (const auto& [key, value] : item.items()) {
      if (key == "name" && value.is_string()) text.name = value.get<std::string>();
      else if (key == "place" && value.is_string()) text.place = value.get<std::string>();
      else if (key == "fields" && value.is_object()) text.fields = value;
      else if (key == "places" && value.is_object()) {
        for (const auto& [field, place] : value.items()) {
          if (!place.is_string()) return bad(index, "places: texts are wanted");
          text.places.emplace(field, place.get<std::string>());
        }
      } else {
        return bad(index, key + ": unknown key, or of the wrong type");
      }
    }
    if (text.name.empty() || !text.fields.is_object()) return bad(index, "name or fields are missing");
    texts.push_back(std::move(text));
  }
  return texts;
}

}  // namespace microagent::policy
