#pragma once

// Strict reading of the JSON objects of state files: every key is known, has the right type, and is there if required.

#include <nlohmann/json.hpp>
#include <set>
#include <string>
#include <string_view>
#include <vector>

#include "base/result.h"
#include "workspace/manifest.h"

namespace microagent::workspace {

// The error of a state file whose content is not what this program writes.
Error foreign_file(std::string_view file, std::string_view why);

// Reads one object. The first thing wrong is kept; finish() tells it, and also what nobody asked for. What could not be
// read keeps its value.
class JsonFields {
 public:
  // `file` and `object` must outlive the reader. `path` is the object's place in the file: "" or "network.".
  JsonFields(const nlohmann::json& object, std::string_view file, std::string path = {});

  // A required key. T is std::string, bool, an integer or std::vector<std::string>.
  template <typename T>
  void read(const char* key, T& out) {
    if (const nlohmann::json* value = find(key, true)) convert(*value, key, out);
  }
  template <typename T>
  void read_if_there(const char* key, T& out) {
    if (const nlohmann::json* value = find(key, false)) convert(*value, key, out);
  }
  // A nested value for the caller to read; null when it is not there.
  const nlohmann::json* nested(const char* key, bool required);

  void reject(const std::string& key, std::string_view why);
  void absorb(const Status& status);
  Status finish();

  std::string path_of(std::string_view key) const { return path_ + std::string(key); }

 private:
  const nlohmann::json* find(const char* key, bool required);

  template <typename T>
  void convert(const nlohmann::json& value, const char* key, T& out) {
    if constexpr (std::is_same_v<T, bool>) {
      if (!value.is_boolean()) return reject(key, "is not true or false");
      out = value.get<bool>();
    } else if constexpr (std::is_integral_v<T>) {
      if (!value.is_number_integer()) return reject(key, "is not a whole number");
      const bool fits = value.is_number_unsigned() ? std::in_range<T>(value.get<std::uint64_t>())
                                                   : std::in_range<T>(value.get<std::int64_t>());
      if (!fits) return reject(key, "is out of bounds");
      out = value.get<T>();
    } else if constexpr (std::is_same_v<T, std::string>) {
      if (!value.is_string()) return reject(key, "is not a string");
      out = value.get<std::string>();
    } else {
      convert_list(value, key, out);
    }
  }
  void convert_list(const nlohmann::json& value, const char* key, std::vector<std::string>& out);

  const nlohmann::json& object_;
  std::string_view file_;
  std::string path_;
  std::set<std::string, std::less<>> asked_;
  Status status_;
};

// Text that is not a JSON document is a foreign file.
Result<nlohmann::json> parse_json(std::string_view text, std::string_view file);

// Compact text of what may hold bytes that are no UTF-8; those become U+FFFD.
std::string dump(const nlohmann::json& json);

nlohmann::json forwards_to_json(const std::vector<Forward>& forwards);
Result<std::vector<Forward>> forwards_from_json(const nlohmann::json& json, std::string_view file, std::string path);

}  // namespace microagent::workspace
