#pragma once

// The mediation channel as the user writes it: --mediation PORT=HOST:PORT or PORT=unix:/path, and the same in parts in
// a spec. A connection of the guest to CID 2, that port, is led to that target of the host.

#include <cstdint>
#include <nlohmann/json_fwd.hpp>
#include <optional>
#include <string>
#include <string_view>

#include "base/result.h"
#include "workspace/manifest.h"
#include "workspace/rules.h"

namespace microagent::workspace {

// The vsock ports of the host that our own services have, or may get.
inline constexpr std::uint32_t kFirstOwnVsockPort = 1020, kLastOwnVsockPort = 1029;
// VMADDR_PORT_ANY, vsock(7), is no port.
inline constexpr std::uint32_t kMaxVsockPort = 0xffff'fffe;

// Where a channel leads to: a TCP port of a host, or a Unix socket when `path` is not empty.
struct MediationTarget {
  std::string host;  // an IP literal without brackets, or a name
  std::uint16_t port = 0;
  std::string path;
};

// "HOST:PORT" with brackets around IPv6, or "unix:" and an absolute path. Kind usage; the message does not repeat it.
Result<MediationTarget> parse_mediation_target(std::string_view text);

// Kind usage.
Result<std::uint32_t> parse_mediation_port(std::string_view text);

// The two parts of a mapping. Kind usage; the message does not repeat it.
struct MediationMapping {
  std::uint32_t port = 0;
  std::string target;
};
Result<MediationMapping> parse_mediation(std::string_view mapping);

// "2048=127.0.0.1:9900".
std::string describe(const Mediation& mediation);

std::optional<Violation> find_mediation_violation(const Mediation& mediation);

// {enabled required port target failClosed}, as records and workspace.json have it.
nlohmann::json mediation_record(const Mediation& mediation);
Result<Mediation> mediation_from_json(const nlohmann::json& json, std::string_view file);

}  // namespace microagent::workspace
