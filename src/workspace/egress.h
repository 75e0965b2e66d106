#pragma once

// The egress part of a workspace as it was declared. The words of modes and rules are kept as they were written: what
// they mean is known to src/policy, which the command line asks before anything is recorded, and the mediator again.

#include <cstdint>
#include <nlohmann/json_fwd.hpp>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "base/result.h"

namespace microagent::workspace {

inline constexpr const char* kDefaultEgressMode = "broker";
inline constexpr std::size_t kMaxEgressRules = 200'000;
inline constexpr std::size_t kMaxEgressWord = 4096;  // bytes of one word of a rule
inline constexpr std::size_t kMaxTrustFiles = 64;

// One entry of a rule list.
struct EgressRule {
  enum class Form : std::uint8_t { text, host, cidr };  // an entry that is a text, or the key of a map
  Form form = Form::text;
  std::string destination;
  std::vector<std::string> ports, methods, paths;
  std::optional<std::uint64_t> max_bytes;
  std::optional<std::uint32_t> max_connections;
  std::string place;  // where it was written

  bool operator==(const EgressRule&) const = default;
};

struct Egress {
  std::string mode = kDefaultEgressMode;  // broker, mitm or off
  bool lock_allowlist = false;
  bool observe = false;
  std::vector<EgressRule> allow, deny, passthrough;
  // 0: no cap.
  std::uint64_t max_total_bytes = 0;
  std::uint64_t max_bytes_per_second = 0;
  std::uint32_t max_connections = 0;
  std::vector<std::string> trust;  // absolute paths of PEM files: whose servers are believed beside the host's

  bool operator==(const Egress&) const = default;
};

// The policy, as policy/policy_json.h describes it and the mediator is told; without `trust`, which judges nothing.
nlohmann::json to_json(const Egress& egress);
// All of it, for the manifest.
nlohmann::json manifest_json(const Egress& egress);
// Strict, like manifest_from_json().
Result<Egress> egress_from_json(const nlohmann::json& json, std::string_view file);

// For `create` and `status`: mode, lockAllowlist, how many rules, caps, trust.
nlohmann::json egress_record(const Egress& egress);

// "1048576", "512KiB", "50GiB": bytes. "256": connections. 0 means no cap. Kind usage; the message does not say the
// place.
Result<std::uint64_t> parse_byte_cap(std::string_view text);
Result<std::uint32_t> parse_connection_cap(std::string_view text);

}  // namespace microagent::workspace
