#include "workspace/swap_spec.h"

#include <optional>
#include <utility>

#include "workspace/files.h"
#include "workspace/yaml_document.h"

namespace microagent::workspace {
namespace {

using Json = nlohmann::json;

constexpr std::size_t kMaxSwapFile = 4 * 1024 * 1024;

// Texts, as they were written, and lists and maps of them. No field is deeper than that.
Json read_field(YamlReader& yaml, const YamlValue& value) {
  if (value.node.IsSequence()) {
    Json list = Json::array();
    yaml.read_list(value, [&](const YamlValue& item) {
      if (auto text = yaml.scalar(item)) list.push_back(std::move(text->value));
    });
    return list;
  }
  if (value.node.IsMap()) {
    Json map = Json::object();
    yaml.read_entries(value, [&](const std::string& key, const YamlValue& item) {
      if (auto text = yaml.scalar(item)) map[key] = std::move(text->value);
    });
    return map;
  }
  auto text = yaml.scalar(value);
  return text ? Json(std::move(text->value)) : Json();
}

}  // namespace

void read_swaps_map(YamlReader& yaml, const YamlValue& value, std::vector<DeclaredSwap>& out) {
  yaml.read_entries(value, [&](const std::string& name, const YamlValue& entry) {
    DeclaredSwap swap{name, yaml.place(entry), Json::object(), {}};
    yaml.read_entries(entry, [&](const std::string& field, const YamlValue& held) {
      swap.fields[field] = read_field(yaml, held);
      swap.places[field] = yaml.place(held);
    });
    out.push_back(std::move(swap));
  });
}

Result<std::vector<DeclaredSwap>> load_swap_file(const std::filesystem::path& path) {
  const auto text = read_file(path, kMaxSwapFile);
  if (!text) return fail(text.error());
  return parse_swap_file(*text, path.string());
}

Result<std::vector<DeclaredSwap>> parse_swap_file(std::string_view text, std::string_view file) {
  std::vector<DeclaredSwap> swaps;
  const Status read = read_yaml_document(text, file, [&](YamlReader& yaml, const YamlValue& root) {
    yaml.read_map(root, {{"swaps", [&](const auto& value) { read_swaps_map(yaml, value, swaps); }}});
  });
  if (!read) return fail(read.error());
  if (swaps.empty()) return fail(ErrorKind::usage, std::string(file) + ":1: holds no swap", "write one below `swaps`");
  return swaps;
}

}  // namespace microagent::workspace
