#include "workspace/yaml_reader.h"

#include <fmt/format.h>

#include <set>

namespace microagent::workspace {
namespace {

std::string known_keys(const YamlReader::Handlers& handlers) {
  std::string list;
  for (const auto& [key, handler] : handlers) list.append(list.empty() ? "" : ", ").append(key);
  return list;
}

int line_of(const YAML::Node& node) { return node.Mark().line + 1; }

std::string join(const std::string& path, const std::string& key) { return path.empty() ? key : path + "." + key; }

}  // namespace

void YamlReader::read_map(const YamlValue& value, const Handlers& handlers) {
  read_entries(value, [&](const std::string& key, const YamlValue& entry) {
    const auto handler = handlers.find(key);
    if (handler != handlers.end()) return handler->second(entry);
    reject(entry, "unknown key", fmt::format("the keys known here are: {}", known_keys(handlers)));
  });
}

void YamlReader::read_entries(const YamlValue& value,
                              const std::function<void(const std::string&, const YamlValue&)>& handle) {
  if (!expect(value, value.node.IsMap(), "a map")) return;
  std::set<std::string> seen;
  for (const auto& entry : value.node) {
    const int line = line_of(entry.first);
    const YamlValue key{entry.first, value.path, line};
    if (!expect(key, entry.first.IsScalar(), "a map with plain keys")) return;
    const std::string& name = entry.first.Scalar();
    if (!seen.insert(name).second)
      return reject({entry.first, join(value.path, name), line}, "the key stands here twice", "keep one of them");
    // yaml-cpp finds an empty value where the next thing begins.
    handle(name, {entry.second, join(value.path, name), entry.second.IsNull() ? line : line_of(entry.second)});
    if (!status_) return;
  }
}

void YamlReader::read_list(const YamlValue& value, const std::function<void(const YamlValue&)>& handle) {
  if (!expect(value, value.node.IsSequence(), "a list")) return;
  std::size_t index = 0;
  for (const auto& item : value.node) handle({item, fmt::format("{}[{}]", value.path, index++), line_of(item)});
}

std::optional<Declared<std::string>> YamlReader::scalar(const YamlValue& value) {
  if (!expect(value, value.node.IsScalar(), "a single value")) return std::nullopt;
  return Declared<std::string>{value.node.Scalar(), place(value)};
}

std::string YamlReader::place(const YamlValue& value) const {
  const std::string where = fmt::format("{}:{}", file_, value.line);
  return value.path.empty() ? where : where + ": " + value.path;
}

void YamlReader::reject(const YamlValue& value, std::string_view why, std::string remediation) {
  if (status_) status_ = fail(ErrorKind::usage, fmt::format("{}: {}", place(value), why), std::move(remediation));
}

bool YamlReader::expect(const YamlValue& value, bool right, std::string_view what) {
  if (!right) reject(value, fmt::format("is not {}", what), fmt::format("write {} there", what));
  return right;
}

}  // namespace microagent::workspace
