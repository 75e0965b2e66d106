#include "policy/swap_fields.h"

#include <fmt/format.h>
#include <fmt/ranges.h>

#include <charconv>

namespace microagent::policy {
namespace {

constexpr std::size_t kMaxText = 4096;
constexpr std::size_t kMaxWords = 256;

}  // namespace

const nlohmann::json* SwapFields::find(const char* field) {
  asked_.insert(field);
  const auto found = text_.fields.find(field);
  return found == text_.fields.end() ? nullptr : &*found;
}

void SwapFields::require(const char* field) {
  if (!has(field)) reject(field, "is missing", fmt::format("a swap of this type needs {}", field));
}

std::optional<std::string> SwapFields::text(const char* field) {
  const auto* value = find(field);
  if (value == nullptr) return std::nullopt;
  if (value->is_string() && !value->get_ref<const std::string&>().empty() &&
      value->get_ref<const std::string&>().size() <= kMaxText) {
    return value->get<std::string>();
  }
  reject(field, "is no text, empty or too long", fmt::format("write 1 to {} bytes of text", kMaxText));
  return std::nullopt;
}

std::optional<bool> SwapFields::truth(const char* field) {
  const auto word = text(field);
  if (!word) return std::nullopt;
  if (*word == "true") return true;
  if (*word == "false") return false;
  reject(field, "is neither true nor false", "write one of them");
  return std::nullopt;
}

std::optional<std::uint32_t> SwapFields::seconds(const char* field) {
  constexpr std::uint32_t kLongest = 30 * 24 * 3600;
  const auto word = text(field);
  if (!word) return std::nullopt;
  std::uint32_t number = 0;
  const auto [end, error] = std::from_chars(word->data(), word->data() + word->size(), number);
  if (error == std::errc() && end == word->data() + word->size() && number > 0 && number <= kLongest) return number;
  reject(field, "is no number of seconds", fmt::format("write a whole number from 1 to {}", kLongest));
  return std::nullopt;
}

std::vector<std::string> SwapFields::words(const char* field) {
  std::vector<std::string> list;
  const auto* value = find(field);
  if (value == nullptr) return list;
  if (!value->is_array() || value->empty() || value->size() > kMaxWords) {
    reject(field, "is no list, empty or too long", fmt::format("write a list of 1 to {} words", kMaxWords));
    return list;
  }
  for (const auto& item : *value) {
    const bool fits = item.is_string() && !item.get_ref<const std::string&>().empty() &&
                      item.get_ref<const std::string&>().size() <= kMaxText;
    if (!fits) {
      reject(field, "holds what is no word", fmt::format("write words of 1 to {} bytes", kMaxText));
      return list;
    }
    list.push_back(item.get<std::string>());
  }
  return list;
}

std::map<std::string, std::string> SwapFields::entries(const char* field) {
  std::map<std::string, std::string> map;
  const auto* value = find(field);
  if (value == nullptr) return map;
  if (!value->is_object() || value->size() > kMaxWords) {
    reject(field, "is no map, or too long", fmt::format("write a map of at most {} texts", kMaxWords));
    return map;
  }
  for (const auto& [key, item] : value->items()) {
    if (!item.is_string() || item.get_ref<const std::string&>().size() > kMaxText) {
      reject(field, "holds what is no text", fmt::format("write texts of at most {} bytes", kMaxText));
      return map;
    }
    map.emplace(key, item.get<std::string>());
  }
  return map;
}

std::optional<SecretRef> SwapFields::reference(const char* field) {
  const auto* value = find(field);
  if (value == nullptr) return std::nullopt;
  if (!value->is_string()) {
    reject(field, "is no reference to a secret", "say where it is found: env:NAME, file:PATH, vault:... or helper:...");
    return std::nullopt;
  }
  auto ref = parse_secret_ref(value->get_ref<const std::string&>());
  if (ref) return std::move(*ref);
  reject(field, ref.error().message, ref.error().remediation);
  return std::nullopt;
}

void SwapFields::reject(const std::string& field, std::string_view why, std::string remedy) {
  if (!status_) return;
  const auto place = text_.places.find(field);
  const std::string where = place != text_.places.end() ? place->second
                            : text_.place.empty()       ? fmt::format("swap {}: {}", text_.name, field)
                                                        : fmt::format("{}.{}", text_.place, field);
  status_ = fail(ErrorKind::usage, fmt::format("{}: {}", where, why), std::move(remedy));
}

Status SwapFields::finish() {
  for (const auto& [field, value] : text_.fields.items()) {
    if (asked_.contains(field)) continue;
    reject(field, "is no field of a swap of this type", fmt::format("its fields are: {}", fmt::join(asked_, ", ")));
  }
  return status_;
}

}  // namespace microagent::policy
