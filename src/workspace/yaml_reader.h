#pragma once

#include <yaml-cpp/yaml.h>

#include <functional>
#include <map>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "base/result.h"
#include "workspace/declaration.h"

namespace microagent::workspace {

// A node with its path from the top, "network.forwards[1].host", and its line, from 1.
struct YamlValue {
  YAML::Node node;
  std::string path;
  int line = 1;
};

// Strict reading of a YAML tree: keeps the first thing wrong, with file and line, and reads on without effect.
class YamlReader {
 public:
  using Handlers = std::map<std::string_view, std::function<void(const YamlValue&)>>;

  // `file` must outlive the reader.
  explicit YamlReader(std::string_view file) : file_(file) {}

  // Calls the handler of every key of a map. Unknown and repeated keys are errors.
  void read_map(const YamlValue& value, const Handlers& handlers);
  // Every entry of a map whose keys are the user's own.
  void read_entries(const YamlValue& value, const std::function<void(const std::string&, const YamlValue&)>& handle);
  void read_list(const YamlValue& value, const std::function<void(const YamlValue&)>& handle);

  // The text of a scalar: strings, and what was written for numbers and booleans. Nothing (and an error) for the rest.
  std::optional<Declared<std::string>> scalar(const YamlValue& value);

  template <typename T>
  void read_scalar(const YamlValue& value, std::optional<Declared<T>>& out, Result<T> (*parse)(std::string_view)) {
    const auto text = scalar(value);
    if (!text) return;
    const auto parsed = parse(text->value);
    if (!parsed) return reject(value, parsed.error().message, parsed.error().remediation);
    out = Declared<T>{*parsed, text->place};
  }

  std::string place(const YamlValue& value) const;
  void reject(const YamlValue& value, std::string_view why, std::string remediation);
  const Status& status() const { return status_; }

 private:
  bool expect(const YamlValue& value, bool right, std::string_view what);

  std::string_view file_;
  Status status_;
};

}  // namespace microagent::workspace
