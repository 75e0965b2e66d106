#include "policy/policy_json.h"

#include <fmt/format.h>

#include <functional>
#include <map>
#include <nlohmann/json.hpp>
#include <utility>

namespace microagent::policy {
namespace {

using Json = nlohmann::json;
// By key; each returns what is wrong with the value, empty when nothing is.
using Fields = std::map<std::string_view, std::function<std::string(const Json&)>>;

Status read_object(const Json& json, std::string_view where, const Fields& fields) {
  if (!json.is_object()) return fail(ErrorKind::permanent, fmt::format("{}: an object is wanted", where));
  for (const auto& [key, value] : json.items()) {
    const auto field = fields.find(key);
    const std::string why = field == fields.end() ? "unknown key" : field->second(value);
    if (!why.empty()) return fail(ErrorKind::permanent, fmt::format("{}.{}: {}", where, key, why));
  }
  return {};
}

std::string read(const Json& value, std::string& out) {
  if (!value.is_string()) return "a text is wanted";
  out = value.get<std::string>();
  return {};
}

std::string read(const Json& value, bool& out) {
  if (!value.is_boolean()) return "true or false is wanted";
  out = value.get<bool>();
  return {};
}

template <typename T>
std::string read_number(const Json& value, T& out) {
  if (!value.is_number_unsigned() || !std::in_range<T>(value.get<std::uint64_t>())) return "a number is wanted";
  out = value.get<T>();
  return {};
}

std::string read(const Json& value, std::vector<std::string>& out) {
  if (!value.is_array()) return "a list is wanted";
  for (const Json& item : value) {
    if (!item.is_string()) return "a list of texts is wanted";
    out.push_back(item.get<std::string>());
  }
  return {};
}

void put_if(Json& json, const char* key, const std::vector<std::string>& list) {
  if (!list.empty()) json[key] = list;
}

const char* key_of(RuleText::Form form) {
  if (form == RuleText::Form::text) return "rule";
  return form == RuleText::Form::host ? "host" : "cidr";
}

Result<std::vector<RuleText>> rules_from_json(const Json& json, const std::string& where) {
  if (!json.is_array()) return fail(ErrorKind::permanent, fmt::format("{}: a list is wanted", where));
  std::vector<RuleText> rules;
  rules.reserve(json.size());
  for (const Json& item : json) {
    auto rule = rule_from_json(item, fmt::format("{}[{}]", where, rules.size()));
    if (!rule) return fail(rule.error());
    rules.push_back(std::move(*rule));
  }
  return rules;
}

}  // namespace

Json to_json(const RuleText& entry) {
  Json json = {{key_of(entry.form), entry.destination}};
  put_if(json, "ports", entry.ports);
  put_if(json, "methods", entry.methods);
  put_if(json, "paths", entry.paths);
  if (entry.max_bytes) json["maxBytes"] = *entry.max_bytes;
  if (entry.max_connections) json["maxConnections"] = *entry.max_connections;
  if (!entry.place.empty()) json["place"] = entry.place;
  return json;
}

Json to_json(const PolicyText& text) {
  Json json = {{"mode", to_string(text.mode)}, {"lockAllowlist", text.lock_allowlist}};
  if (text.observe) json["observe"] = true;
  for (const List list : {List::allow, List::deny, List::passthrough}) {
    Json entries = Json::array();
    for (const RuleText& entry : text.list(list)) entries.push_back(to_json(entry));
    if (!entries.empty()) json[std::string(to_string(list))] = std::move(entries);
  }
  if (text.caps.max_total_bytes != 0) json["maxTotalBytes"] = text.caps.max_total_bytes;
  if (text.caps.max_bytes_per_second != 0) json["maxBytesPerSecond"] = text.caps.max_bytes_per_second;
  if (text.caps.max_connections != 0) json["maxConnections"] = text.caps.max_connections;
  return json;
}

Json to_json(const Decision& decision) {
  Json json = {{"verdict", decision.allowed() ? "allow" : "deny"},
               {"reason", to_string(decision.reason)},
               {"rule", decision.text}};
  if (decision.verdict == Verdict::intercept) json["mitm"] = true;
  if (decision.would_deny) json["wouldDeny"] = true;
  if (const auto signal = to_string(decision.signal); !signal.empty()) json["signal"] = signal;
  return json;
}

Result<RuleText> rule_from_json(const Json& json, std::string_view where) {
  RuleText entry;
  int destinations = 0;
  const auto destination = [&](RuleText::Form form) {
    return [&, form](const Json& value) {
      ++destinations;
      entry.form = form;
      return read(value, entry.destination);
    };
  };
  const Fields fields{
      {"rule", destination(RuleText::Form::text)},
      {"host", destination(RuleText::Form::host)},
      {"cidr", destination(RuleText::Form::cidr)},
      {"ports", [&](const Json& v) { return read(v, entry.ports); }},
      {"methods", [&](const Json& v) { return read(v, entry.methods); }},
      {"paths", [&](const Json& v) { return read(v, entry.paths); }},
      {"maxBytes", [&](const Json& v) { return read_number(v, entry.max_bytes.emplace()); }},
      {"maxConnections", [&](const Json& v) { return read_number(v, entry.max_connections.emplace()); }},
      {"place", [&](const Json& v) { return read(v, entry.place); }}};
  if (Status status = read_object(json, where, fields); !status) return fail(status.error());
  if (destinations != 1) {
    return fail(ErrorKind::permanent, fmt::format("{}: exactly one of rule, host and cidr is wanted", where));
  }
  return entry;
}

Result<PolicyText> policy_from_json(const Json& json, std::string_view where) {
  PolicyText text;
  Status lists;
  const auto list = [&](List which) {
    return [&, which](const Json& value) -> std::string {
      auto rules = rules_from_json(value, fmt::format("{}.{}", where, to_string(which)));
      if (rules) text.list(which) = std::move(*rules);
      else if (lists) lists = fail(rules.error());
      return {};
    };
  };
  const auto mode = [&](const Json& value) -> std::string {
    std::string word;
    if (std::string why = read(value, word); !why.empty()) return why;
    const auto parsed = parse_mode_word(word);
    if (!parsed || to_string(parsed->mode) != word) return "neither broker nor mitm nor off";
    text.mode = parsed->mode;
    return {};
  };
  const Fields fields{
      {"mode", mode},
      {"lockAllowlist", [&](const Json& v) { return read(v, text.lock_allowlist); }},
      {"observe", [&](const Json& v) { return read(v, text.observe); }},
      {"allow", list(List::allow)},
      {"deny", list(List::deny)},
      {"passthrough", list(List::passthrough)},
      {"maxTotalBytes", [&](const Json& v) { return read_number(v, text.caps.max_total_bytes); }},
      {"maxBytesPerSecond", [&](const Json& v) { return read_number(v, text.caps.max_bytes_per_second); }},
      {"maxConnections", [&](const Json& v) { return read_number(v, text.caps.max_connections); }}};
  if (Status status = read_object(json, where, fields); !status) return fail(status.error());
  if (!lists) return fail(lists.error());
  if (!json.contains("mode")) return fail(ErrorKind::permanent, fmt::format("{}.mode: is missing", where));
  return text;
}

}  // namespace microagent::policy
