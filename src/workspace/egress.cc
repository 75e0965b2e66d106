#include "workspace/egress.h"

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <cctype>
#include <charconv>
#include <limits>

#include "workspace/ip.h"
#include "workspace/json_fields.h"

namespace microagent::workspace {
namespace {

using Json = nlohmann::json;
using Form = EgressRule::Form;

const char* key_of(Form form) {
  if (form == Form::text) return "rule";
  return form == Form::host ? "host" : "cidr";
}

Json rule_to_json(const EgressRule& rule) {
  Json json = {{key_of(rule.form), rule.destination}};
  const auto put_list = [&](const char* key, const std::vector<std::string>& list) {
    if (!list.empty()) json[key] = list;
  };
  put_list("ports", rule.ports);
  put_list("methods", rule.methods);
  put_list("paths", rule.paths);
  if (rule.max_bytes) json["maxBytes"] = *rule.max_bytes;
  if (rule.max_connections) json["maxConnections"] = *rule.max_connections;
  if (!rule.place.empty()) json["place"] = rule.place;
  return json;
}

Json rules_to_json(const std::vector<EgressRule>& rules) {
  Json list = Json::array();
  for (const EgressRule& rule : rules) list.push_back(rule_to_json(rule));
  return list;
}

Status read_rule(const Json& json, std::string_view file, std::string path, EgressRule& rule) {
  JsonFields fields(json, file, std::move(path));
  int destinations = 0;
  for (const Form form : {Form::text, Form::host, Form::cidr}) {
    if (!json.is_object() || !json.contains(key_of(form))) continue;
    fields.read(key_of(form), rule.destination);
    rule.form = form;
    ++destinations;
  }
  fields.read_if_there("ports", rule.ports);
  fields.read_if_there("methods", rule.methods);
  fields.read_if_there("paths", rule.paths);
  const auto read_cap = [&](const char* key, auto& cap) {
    if (json.is_object() && json.contains(key)) fields.read(key, cap.emplace());
  };
  read_cap("maxBytes", rule.max_bytes);
  read_cap("maxConnections", rule.max_connections);
  fields.read_if_there("place", rule.place);
  if (destinations != 1) fields.reject("rule", "is not there exactly once, nor are host or cidr in its place");
  return fields.finish();
}

void read_rules(JsonFields& fields, const char* key, std::string_view file, std::vector<EgressRule>& rules) {
  const Json* list = fields.nested(key, false);
  if (list == nullptr) return;
  if (!list->is_array()) return fields.reject(key, "is not a list");
  for (const Json& item : *list) {
    EgressRule rule;
    fields.absorb(read_rule(item, file, fmt::format("egress.{}[{}].", key, rules.size()), rule));
    rules.push_back(std::move(rule));
  }
}

void put_caps(const Egress& egress, Json& json) {
  if (egress.max_total_bytes != 0) json["maxTotalBytes"] = egress.max_total_bytes;
  if (egress.max_bytes_per_second != 0) json["maxBytesPerSecond"] = egress.max_bytes_per_second;
  if (egress.max_connections != 0) json["maxConnections"] = egress.max_connections;
}

// How many bits a unit shifts.
std::optional<unsigned> shift_of(std::string_view unit) {
  std::string small(unit);
  std::ranges::transform(small, small.begin(), [](unsigned char c) { return std::tolower(c); });
  constexpr std::array<std::string_view, 5> kUnits{"", "k", "m", "g", "t"};
  for (std::size_t i = 0; i < kUnits.size(); ++i) {
    const std::string letter(kUnits[i]);
    if (small == letter || small == letter + "b" || (i > 0 && small == letter + "ib")) {
      return static_cast<unsigned>(10 * i);
    }
  }
  return std::nullopt;
}

}  // namespace

Json to_json(const Egress& egress) {
  Json json = {{"mode", egress.mode}, {"lockAllowlist", egress.lock_allowlist}};
  if (egress.observe) json["observe"] = true;
  if (!egress.allow.empty()) json["allow"] = rules_to_json(egress.allow);
  if (!egress.deny.empty()) json["deny"] = rules_to_json(egress.deny);
  if (!egress.passthrough.empty()) json["passthrough"] = rules_to_json(egress.passthrough);
  put_caps(egress, json);
  return json;
}

Json manifest_json(const Egress& egress) {
  Json json = to_json(egress);
  if (!egress.trust.empty()) json["trust"] = egress.trust;
  return json;
}

Result<Egress> egress_from_json(const Json& json, std::string_view file) {
  Egress egress;
  JsonFields fields(json, file, "egress.");
  fields.read("mode", egress.mode);
  fields.read("lockAllowlist", egress.lock_allowlist);
  fields.read_if_there("observe", egress.observe);
  read_rules(fields, "allow", file, egress.allow);
  read_rules(fields, "deny", file, egress.deny);
  read_rules(fields, "passthrough", file, egress.passthrough);
  fields.read_if_there("trust", egress.trust);
  fields.read_if_there("maxTotalBytes", egress.max_total_bytes);
  fields.read_if_there("maxBytesPerSecond", egress.max_bytes_per_second);
  fields.read_if_there("maxConnections", egress.max_connections);
  if (Status read = fields.finish(); !read) return fail(read.error());
  return egress;
}

Json egress_record(const Egress& egress) {
  Json record = {
      {"mode", egress.mode},
      {"lockAllowlist", egress.lock_allowlist},
      {"rules",
       {{"allow", egress.allow.size()}, {"deny", egress.deny.size()}, {"passthrough", egress.passthrough.size()}}}};
  if (egress.observe) record["observe"] = true;
  put_caps(egress, record);
  if (!egress.trust.empty()) record["trust"] = egress.trust;
  return record;
}

Result<std::uint64_t> parse_byte_cap(std::string_view text) {
  const std::string_view digits = text.substr(0, std::min(text.find_first_not_of("0123456789"), text.size()));
  const auto shift = shift_of(text.substr(digits.size()));
  std::uint64_t number = 0;
  const auto [end, error] = std::from_chars(digits.data(), digits.data() + digits.size(), number);
  const bool fits = error == std::errc() && shift && number <= std::numeric_limits<std::int64_t>::max() >> *shift;
  if (fits) return number << *shift;
  return fail(ErrorKind::usage, fmt::format("\"{}\" is not a number of bytes", text),
              "write a whole number, such as 1048576, 512KiB or 50GiB; 0 means no cap");
}

Result<std::uint32_t> parse_connection_cap(std::string_view text) {
  if (const auto number = parse_number(text, std::numeric_limits<std::uint32_t>::max())) return *number;
  return fail(ErrorKind::usage, fmt::format("\"{}\" is not a number of connections", text),
              "write a whole number, such as 256; 0 means no cap");
}

}  // namespace microagent::workspace
