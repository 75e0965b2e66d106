#pragma once

// What a declared workspace must fulfil as a whole, whoever declared it.

#include <optional>
#include <string>
#include <string_view>

#include "workspace/manifest.h"

namespace microagent::workspace {

inline constexpr const char* kDefaultIp = "192.168.64.2/24";
inline constexpr const char* kDefaultGateway = "192.168.64.1";

inline constexpr unsigned kMinPrefixLength = 8, kMaxPrefixLength = 31;
inline constexpr std::size_t kMaxDns = 8, kMaxRoutes = 64;  // what the guest's init takes (wire/guest_config.h)
inline constexpr std::uint32_t kMinMemoryMib = 128, kMaxMemoryMib = 1024 * 1024;
inline constexpr std::uint32_t kMaxCpus = 64;
inline constexpr std::size_t kMaxHealthPath = 2048, kMaxHealthCommand = 32 * 1024;
inline constexpr std::size_t kMaxWords = 256 * 1024;  // bytes of environment and entrypoint together

inline constexpr std::uint32_t kMinDiskMib = 256, kMaxDiskMib = 16 * 1024 * 1024;
inline constexpr std::size_t kMaxVolumes = 4;  // what the guest's init takes
inline constexpr std::size_t kMaxBundles = 64;
inline constexpr std::size_t kMaxGuestPath = 4095;

// A broken rule. `key` is the spec's: "network.gateway", "network.forwards[2]".
struct Violation {
  std::string key, message, remediation;
};

// The first violation of any rule.
std::optional<Violation> find_violation(const Manifest& manifest);

// The rules of the network alone (rules_network.cc).
std::optional<Violation> find_network_violation(const Network& network);

// Those of its upkeep (rules_upkeep.cc).
std::optional<Violation> find_upkeep_violation(const Manifest& manifest);

// The rules of image, command, disk, volumes and bundles (rules_image.cc).
std::optional<Violation> find_image_violation(const Manifest& manifest);

}  // namespace microagent::workspace
