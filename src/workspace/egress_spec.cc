#include "workspace/egress_spec.h"

#include <fmt/format.h>

#include <algorithm>
#include <nlohmann/json.hpp>

#include "workspace/files.h"
#include "workspace/swap_spec.h"
#include "workspace/yaml_document.h"

namespace microagent::workspace {
namespace {

constexpr std::size_t kMaxPolicyFile = 32 * 1024 * 1024;

class EgressReader {
 public:
  EgressReader(YamlReader& yaml, EgressDeclaration& out) : yaml_(yaml), out_(out) {}

  void read_policy(const YamlValue& value) { yaml_.read_map(value, policy_keys()); }

  // A spec's section holds what is the workspace's own, too.
  void read_section(const YamlValue& value) {
    YamlReader::Handlers keys = policy_keys();
    keys["swaps"] = [this](const auto& v) { read_swaps_map(yaml_, v, out_.swaps); };
    yaml_.read_map(value, keys);
  }

  void read_rules(const YamlValue& value, std::vector<EgressRule>& rules) {
    yaml_.read_list(value, [&](const YamlValue& item) {
      if (item.node.IsMap()) return read_rule_map(item, rules);
      if (auto text = yaml_.scalar(item)) {
        EgressRule rule;
        rule.destination = std::move(text->value);
        rule.place = std::move(text->place);
        rules.push_back(std::move(rule));
      }
    });
  }

 private:
  YamlReader::Handlers policy_keys() {
    return {{"mode", [this](const auto& v) { out_.mode = yaml_.scalar(v); }},
            {"lockAllowlist", [this](const auto& v) { yaml_.read_scalar(v, out_.lock_allowlist, parse_switch); }},
            {"observe", [this](const auto& v) { yaml_.read_scalar(v, out_.observe, parse_switch); }},
            {"allow", [this](const auto& v) { read_rules(v, out_.allow); }},
            {"deny", [this](const auto& v) { read_rules(v, out_.deny); }},
            {"passthrough", [this](const auto& v) { read_rules(v, out_.passthrough); }},
            {"trust", [this](const auto& v) { read_trust(v); }},
            {"maxTotalBytes", [this](const auto& v) { yaml_.read_scalar(v, out_.max_total_bytes, parse_byte_cap); }},
            {"maxBytesPerSecond",
             [this](const auto& v) { yaml_.read_scalar(v, out_.max_bytes_per_second, parse_byte_cap); }},
            {"maxConnections",
             [this](const auto& v) { yaml_.read_scalar(v, out_.max_connections, parse_connection_cap); }}};
  }

  void read_trust(const YamlValue& value) {
    yaml_.read_list(value, [this](const YamlValue& item) {
      if (auto file = yaml_.scalar(item)) out_.trust.push_back(std::move(*file));
    });
  }

  void read_rule_map(const YamlValue& value, std::vector<EgressRule>& rules) {
    EgressRule rule;
    rule.place = yaml_.place(value);
    std::optional<Declared<std::string>> host, cidr;
    std::optional<Declared<std::uint64_t>> max_bytes;
    std::optional<Declared<std::uint32_t>> max_connections;
    yaml_.read_map(value, {{"host", [&](const auto& v) { host = yaml_.scalar(v); }},
                           {"cidr", [&](const auto& v) { cidr = yaml_.scalar(v); }},
                           {"ports", [&](const auto& v) { read_words(v, rule.ports); }},
                           {"methods", [&](const auto& v) { read_words(v, rule.methods); }},
                           {"paths", [&](const auto& v) { read_words(v, rule.paths); }},
                           {"maxBytes", [&](const auto& v) { yaml_.read_scalar(v, max_bytes, parse_byte_cap); }},
                           {"maxConnections",
                            [&](const auto& v) { yaml_.read_scalar(v, max_connections, parse_connection_cap); }}});
    if (!yaml_.status()) return;
    if (host.has_value() == cidr.has_value())
      return yaml_.reject(value, "a rule needs one of host and cidr", "write one of them");
    rule.form = host ? EgressRule::Form::host : EgressRule::Form::cidr;
    rule.destination = host ? host->value : cidr->value;
    if (max_bytes) rule.max_bytes = max_bytes->value;
    if (max_connections) rule.max_connections = max_connections->value;
    rules.push_back(std::move(rule));
  }

  // A list of words; one word may stand for a list of one.
  void read_words(const YamlValue& value, std::vector<std::string>& words) {
    const auto take = [&](const YamlValue& item) {
      if (auto word = yaml_.scalar(item)) words.push_back(std::move(word->value));
    };
    if (value.node.IsScalar()) return take(value);
    yaml_.read_list(value, take);
    if (words.empty()) yaml_.reject(value, "is an empty list", "leave it out");
  }

  YamlReader& yaml_;
  EgressDeclaration& out_;
};

// JSON is YAML too, but for what only YAML takes: the reader below would not miss a bracket.
Status check_json(std::string_view text, std::string_view file) {
  try {
    static_cast<void>(nlohmann::json::parse(text));
    return {};
  } catch (const nlohmann::json::parse_error& error) {
    const auto line = 1 + std::ranges::count(text.substr(0, error.byte), '\n');
    return fail(ErrorKind::usage, fmt::format("{}:{}: is not JSON", file, line));
  } catch (const nlohmann::json::out_of_range&) {
    return fail(ErrorKind::usage, fmt::format("{}:1: holds a number that is too large", file),
                "no number here is larger than 2^64");
  }
}

}  // namespace

void read_egress_map(YamlReader& yaml, const YamlValue& value, EgressDeclaration& out) {
  EgressReader(yaml, out).read_section(value);
}

void read_egress_rules(YamlReader& yaml, const YamlValue& value, std::vector<EgressRule>& rules) {
  EgressDeclaration unused;
  EgressReader(yaml, unused).read_rules(value, rules);
}

Result<EgressDeclaration> load_policy_file(const std::filesystem::path& path) {
  const auto text = read_file(path, kMaxPolicyFile);
  if (!text) return fail(text.error());
  return parse_policy_file(*text, path.string());
}

Result<EgressDeclaration> parse_policy_file(std::string_view text, std::string_view file) {
  const bool json = file.ends_with(".json");
  if (!json && !file.ends_with(".yaml") && !file.ends_with(".yml")) {
    return fail(ErrorKind::usage, fmt::format("{}: is neither .yaml, .yml nor .json", file),
                "name the file by what is in it");
  }
  if (json) {
    if (Status valid = check_json(text, file); !valid) return fail(valid.error());
  }
  EgressDeclaration policy;
  Status read = read_yaml_document(
      text, file, [&](YamlReader& yaml, const YamlValue& root) { EgressReader(yaml, policy).read_policy(root); });
  if (!read) return fail(read.error());
  anchor_trust(policy, std::filesystem::path(file).parent_path());
  return policy;
}

}  // namespace microagent::workspace
