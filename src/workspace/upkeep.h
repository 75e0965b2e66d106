#pragma once

// What is declared about a workspace's life as a whole: how long it lasts, whether it is healthy, and what becomes of
// it when it fails.

#include <cstdint>
#include <nlohmann/json_fwd.hpp>
#include <optional>
#include <string>
#include <string_view>

#include "base/result.h"
#include "workspace/declared.h"

namespace microagent::workspace {

// What `microagent supervise` does when the workspace has ended.
struct Restart {
  enum class Policy { never, on_failure, always };
  Policy policy = Policy::never;
  std::uint32_t max = 0;  // restarts in a row; 0: without end
  bool operator==(const Restart&) const = default;
};

// What `microagent supervise` asks the guest from time to time. One of command and http.
struct Health {
  std::string command;                                                      // a line for the guest's shell
  std::string http_path;                                                    // of a page, at
  std::uint32_t http_port = 0;                                              // a guest's port that is published
  std::uint32_t interval = 30, timeout = 5, retries = 3, start_period = 0;  // seconds, but for retries
};

struct Upkeep {
  Restart restart;
  std::uint32_t ttl = 0;  // seconds from the start to the end; 0: no bound
  std::optional<Health> health;
};

struct DeclaredUpkeep {
  std::optional<Declared<Restart>> restart;
  std::optional<Declared<std::uint32_t>> ttl;
  std::optional<Declared<std::string>> command, http_path;
  std::optional<Declared<std::uint32_t>> http_port, interval, timeout, retries, start_period;
};

inline constexpr std::uint32_t kMaxDuration = 10 * 365 * 86400U;
inline constexpr std::uint32_t kMaxHealthSeconds = 86400, kMaxRetries = 1000, kMaxRestarts = 1'000'000;

// "never", "on-failure", "on-failure:3", "always". Kind usage, as of all that follows.
Result<Restart> parse_restart(std::string_view text);
std::string to_string(const Restart& restart);

// "90", "90s", "15m", "2h", "7d": seconds, from 1 to kMaxDuration.
Result<std::uint32_t> parse_duration(std::string_view text);
Result<std::uint32_t> parse_start_period(std::string_view text);  // 0 too
Result<std::uint32_t> parse_retries(std::string_view text);
Result<std::uint32_t> parse_health_port(std::string_view text);

// Flags win, value by value; a way to ask that a flag names takes the place of the spec's.
DeclaredUpkeep unite(DeclaredUpkeep flags, DeclaredUpkeep spec);

// The message says the place.
Result<Upkeep> resolve(const DeclaredUpkeep& declared);

// For the manifest and for records: {"restart","ttlSeconds","health":{...}}, what is not declared left out.
nlohmann::json to_json(const Upkeep& upkeep);
nlohmann::json to_json(const Health& health);
Result<Health> health_from_json(const nlohmann::json& json, std::string_view file);

}  // namespace microagent::workspace
