#include "workspace/upkeep.h"

#include <fmt/format.h>

#include <nlohmann/json.hpp>

#include "workspace/ip.h"
#include "workspace/json_fields.h"

namespace microagent::workspace {
namespace {

using Json = nlohmann::json;

constexpr std::string_view kOnFailure = "on-failure";

template <typename T>
void prefer(std::optional<T>& flag, std::optional<T>& spec) {
  if (!flag) flag = std::move(spec);
}

Result<std::uint32_t> parse_count(std::string_view text, std::uint32_t least, std::uint32_t most,
                                  std::string_view what) {
  const auto number = parse_number(text, most);
  if (number && *number >= least) return *number;
  return fail(ErrorKind::usage, fmt::format("\"{}\" is not {}", text, what), fmt::format("give {} to {}", least, most));
}

// Seconds of a number with its unit; nothing where it is none, or more than kMaxDuration.
std::optional<std::uint32_t> seconds_of(std::string_view text) {
  const std::size_t digits = std::min(text.find_first_not_of("0123456789"), text.size());
  const std::string_view unit = text.substr(digits);
  const std::uint32_t scale = unit.empty() || unit == "s" ? 1 : unit == "m" ? 60 : unit == "h" ? 3600 : 86400;
  if (scale == 86400 && unit != "d") return std::nullopt;
  const auto number = parse_number(text.substr(0, digits), kMaxDuration / scale);
  if (!number) return std::nullopt;
  return *number * scale;
}

tl::unexpected<Error> no_duration(std::string_view text) {
  return fail(ErrorKind::usage, fmt::format("\"{}\" is not a length of time", text),
              "write a whole number with its unit, such as 90s, 15m, 2h or 7d");
}

tl::unexpected<Error> misplaced(const std::string& place, std::string_view why, std::string remedy) {
  return fail(ErrorKind::usage, fmt::format("{}: {}", place, why), std::move(remedy));
}

// Where anything about health is said first.
std::optional<std::string> place_of_detail(const DeclaredUpkeep& declared) {
  for (const auto* detail : {&declared.interval, &declared.timeout, &declared.retries, &declared.start_period}) {
    if (*detail) return (*detail)->place;
  }
  return std::nullopt;
}

Result<std::optional<Health>> resolve_health(const DeclaredUpkeep& declared) {
  const char* const kHow = "give a command (--health-cmd) or a page (--health-http)";
  const bool http = declared.http_path || declared.http_port;
  if (!declared.command && !http) {
    if (const auto place = place_of_detail(declared)) return misplaced(*place, "nothing is asked of the guest", kHow);
    return std::optional<Health>();
  }
  if (declared.command && http) {
    return misplaced(declared.command->place, "the guest is asked in another way already", kHow);
  }
  if (declared.command && declared.command->value.empty()) return misplaced(declared.command->place, "is empty", kHow);
  if (http && !declared.http_port) {
    return misplaced(declared.http_path->place, "the page's port is missing", "give health.port, the guest's port");
  }
  Health health;
  if (declared.command) health.command = declared.command->value;
  if (http) health.http_port = declared.http_port->value;
  if (http) health.http_path = declared.http_path ? declared.http_path->value : "/";
  if (declared.interval) health.interval = declared.interval->value;
  if (declared.timeout) health.timeout = declared.timeout->value;
  if (declared.retries) health.retries = declared.retries->value;
  if (declared.start_period) health.start_period = declared.start_period->value;
  return health;
}

}  // namespace

Result<Restart> parse_restart(std::string_view text) {
  if (text == "never") return Restart{};
  if (text == "always") return Restart{Restart::Policy::always};
  if (text == kOnFailure) return Restart{Restart::Policy::on_failure};
  if (text.starts_with("on-failure:")) {
    const auto max = parse_number(text.substr(kOnFailure.size() + 1), kMaxRestarts);
    if (max && *max > 0) return Restart{Restart::Policy::on_failure, *max};
  }
  return fail(ErrorKind::usage, fmt::format("\"{}\" is not a restart policy", text),
              fmt::format("use never, always, on-failure, or on-failure:MAX with MAX from 1 to {}", kMaxRestarts));
}

std::string to_string(const Restart& restart) {
  switch (restart.policy) {
    case Restart::Policy::never: return "never";
    case Restart::Policy::always: return "always";
    case Restart::Policy::on_failure: break;
  }
  return restart.max == 0 ? std::string(kOnFailure) : fmt::format("{}:{}", kOnFailure, restart.max);
}

Result<std::uint32_t> parse_duration(std::string_view text) {
  const auto seconds = seconds_of(text);
  if (!seconds || *seconds == 0) return no_duration(text);
  return *seconds;
}

Result<std::uint32_t> parse_start_period(std::string_view text) {
  const auto seconds = seconds_of(text);
  if (!seconds) return no_duration(text);
  return *seconds;
}

Result<std::uint32_t> parse_retries(std::string_view text) {
  return parse_count(text, 1, kMaxRetries, "a number of tries");
}

Result<std::uint32_t> parse_health_port(std::string_view text) { return parse_count(text, 1, 65535, "a port"); }

DeclaredUpkeep unite(DeclaredUpkeep flags, DeclaredUpkeep spec) {
  prefer(flags.restart, spec.restart);
  prefer(flags.ttl, spec.ttl);
  const bool flags_ask = flags.command || flags.http_path || flags.http_port;
  if (!flags_ask) {
    flags.command = std::move(spec.command);
    flags.http_path = std::move(spec.http_path);
    flags.http_port = std::move(spec.http_port);
  }
  prefer(flags.interval, spec.interval);
  prefer(flags.timeout, spec.timeout);
  prefer(flags.retries, spec.retries);
  prefer(flags.start_period, spec.start_period);
  return flags;
}

Result<Upkeep> resolve(const DeclaredUpkeep& declared) {
  Upkeep upkeep;
  if (declared.restart) upkeep.restart = declared.restart->value;
  if (declared.ttl) upkeep.ttl = declared.ttl->value;
  auto health = resolve_health(declared);
  if (!health) return fail(health.error());
  upkeep.health = std::move(*health);
  return upkeep;
}

Json to_json(const Health& health) {
  Json json = {{"intervalSeconds", health.interval},
               {"timeoutSeconds", health.timeout},
               {"retries", health.retries},
               {"startPeriodSeconds", health.start_period}};
  if (!health.command.empty()) json["command"] = health.command;
  else json["httpGet"] = health.http_path, json["port"] = health.http_port;
  return json;
}

Json to_json(const Upkeep& upkeep) {
  Json json = Json::object();
  if (upkeep.restart != Restart{}) json["restart"] = to_string(upkeep.restart);
  if (upkeep.ttl != 0) json["ttlSeconds"] = upkeep.ttl;
  if (upkeep.health) json["health"] = to_json(*upkeep.health);
  return json;
}

Result<Health> health_from_json(const Json& json, std::string_view file) {
  Health health;
  JsonFields fields(json, file, "health.");
  fields.read("intervalSeconds", health.interval);
  fields.read("timeoutSeconds", health.timeout);
  fields.read("retries", health.retries);
  fields.read("startPeriodSeconds", health.start_period);
  fields.read_if_there("command", health.command);
  fields.read_if_there("httpGet", health.http_path);
  fields.read_if_there("port", health.http_port);
  if (Status read = fields.finish(); !read) return fail(read.error());
  return health;
}

}  // namespace microagent::workspace
