// The rules of a workspace's upkeep.

#include <fmt/format.h>

#include <algorithm>
#include <tuple>

#include "workspace/rules.h"

namespace microagent::workspace {
namespace {

bool is_published(const Network& network, std::uint32_t port) {
  return std::ranges::any_of(network.forwards, [&](const Forward& forward) {
    return forward.protocol == Transport::tcp && forward.guest_port == port;
  });
}

// A path goes into a request as it is.
bool is_path(std::string_view text) {
  return text.starts_with('/') && text.size() <= kMaxHealthPath &&
         std::ranges::all_of(text, [](char c) { return c > ' ' && c < 0x7f; });
}

std::optional<Violation> find_http_violation(const Health& health, const Network& network) {
  if (!is_path(health.http_path)) {
    return Violation{"health.httpGet", fmt::format("\"{}\" is not the path of a page", health.http_path),
                     "begin it with a slash, and write blanks and the like as %20"};
  }
  if (is_published(network, health.http_port)) return std::nullopt;
  return Violation{"health.port", fmt::format("the guest's port {} is not published", health.http_port),
                   fmt::format("publish it, such as by --publish 0:{}", health.http_port)};
}

}  // namespace

std::optional<Violation> find_upkeep_violation(const Manifest& manifest) {
  const Upkeep& upkeep = manifest.upkeep;
  if (upkeep.ttl > kMaxDuration) return Violation{"ttl", "is too long", "give at most ten years"};
  if (!upkeep.health) return std::nullopt;
  const Health& health = *upkeep.health;
  for (const auto& [key, seconds, least] :
       {std::tuple{"health.interval", health.interval, 1U}, std::tuple{"health.timeout", health.timeout, 1U},
        std::tuple{"health.startPeriod", health.start_period, 0U}}) {
    if (seconds >= least && seconds <= kMaxHealthSeconds) continue;
    return Violation{key, fmt::format("{} s are out of bounds", seconds), fmt::format("give {} s to a day", least)};
  }
  if (health.retries < 1 || health.retries > kMaxRetries) {
    return Violation{"health.retries", fmt::format("{} is out of bounds", health.retries),
                     fmt::format("give 1 to {}", kMaxRetries)};
  }
  if (health.command.find('\0') != std::string::npos) return Violation{"health.exec", "holds a zero byte", "remove it"};
  if (health.command.size() > kMaxHealthCommand) {
    return Violation{"health.exec", fmt::format("is longer than {} bytes", kMaxHealthCommand), "put it into a script"};
  }
  return health.command.empty() ? find_http_violation(health, manifest.network) : std::nullopt;
}

}  // namespace microagent::workspace
