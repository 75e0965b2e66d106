#include "workspace/mediation.h"

#include <fmt/format.h>
#include <sys/un.h>

#include <algorithm>
#include <nlohmann/json.hpp>

#include "workspace/ip.h"
#include "workspace/json_fields.h"

namespace microagent::workspace {
namespace {

using Json = nlohmann::json;

constexpr std::string_view kUnixPrefix = "unix:";
constexpr std::size_t kMaxHostName = 253;  // RFC 1035, 2.3.4, without the root's length byte
constexpr std::size_t kMaxSocketPath = sizeof(sockaddr_un::sun_path) - 1;
constexpr std::uint32_t kMaxTcpPort = 65'535;

constexpr const char* kTargetRemedy = "write HOST:PORT, such as 127.0.0.1:9900, or unix:/path/of/socket";

tl::unexpected<Error> bad_target(std::string message, std::string remedy = kTargetRemedy) {
  return fail(ErrorKind::usage, std::move(message), std::move(remedy));
}

// What can be a name: RFC 1123, 2.1, and the underscores that private zones have.
bool is_host_name(std::string_view text) {
  const auto allowed = [](char c) {
    return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') || c == '-' || c == '_' ||
           c == '.';
  };
  return text.size() <= kMaxHostName && std::ranges::all_of(text, allowed) && text[0] != '.' && text[0] != '-';
}

// A name whose last label has digits only is what somebody meant to be an IPv4 address, however it is written.
bool looks_like_ipv4(std::string_view text) {
  if (text.ends_with('.')) text.remove_suffix(1);
  const std::string_view last = text.substr(text.rfind('.') + 1);  // npos + 1 is 0
  return std::ranges::all_of(last, [](char c) { return c >= '0' && c <= '9'; });
}

Result<std::string> parse_host(std::string_view text, bool bracketed) {
  if (text.empty()) return bad_target("the target has no host");
  const auto address = canonical_ip(text);
  const bool ipv6 = text.find(':') != std::string_view::npos;
  if (bracketed && (!ipv6 || !address)) return bad_target("what stands in brackets is not an IPv6 address");
  if (ipv6 && !bracketed) return bad_target("an IPv6 address stands in brackets", "write it like [::1]:9900");
  if (address && (*address == "0.0.0.0" || *address == "::")) {
    return bad_target("the unspecified address is nobody's", "use 127.0.0.1 for this host");
  }
  if (address) return *address;
  if (!is_host_name(text) || looks_like_ipv4(text)) return bad_target("the host is neither an IP address nor a name");
  return std::string(text);
}

Result<MediationTarget> parse_unix_target(std::string_view path) {
  if (!path.starts_with('/')) return bad_target("the path of the Unix socket is not absolute");
  if (path.size() > kMaxSocketPath) {
    return bad_target(fmt::format("the path of the Unix socket is longer than {} bytes", kMaxSocketPath),
                      "use a shorter path");
  }
  if (path.find('\0') != std::string_view::npos) return bad_target("the path of the Unix socket holds a zero byte");
  return MediationTarget{{}, 0, std::string(path)};
}

}  // namespace

Result<MediationTarget> parse_mediation_target(std::string_view text) {
  if (text.empty()) return bad_target("the target is empty");
  if (text.starts_with(kUnixPrefix)) return parse_unix_target(text.substr(kUnixPrefix.size()));
  const std::size_t colon = text.rfind(':');
  const bool bracketed = text.starts_with('[');
  if (colon == std::string_view::npos) return bad_target("the target has no port");
  if (bracketed && text[colon - 1] != ']') return bad_target("the target has no port");  // cut within the brackets
  std::string_view host = text.substr(0, colon);
  if (bracketed) host = host.substr(1, host.size() - 2);
  auto parsed = parse_host(host, bracketed);
  if (!parsed) return fail(parsed.error());
  const auto port = parse_number(text.substr(colon + 1), kMaxTcpPort);
  if (!port || *port == 0) return bad_target("the target's port is not 1 to 65535");
  return MediationTarget{std::move(*parsed), static_cast<std::uint16_t>(*port), {}};
}

Result<std::uint32_t> parse_mediation_port(std::string_view text) {
  const auto port = parse_number(text, kMaxVsockPort);
  if (port) return *port;
  return fail(ErrorKind::usage, fmt::format("\"{}\" is not a vsock port", text),
              fmt::format("use a number from 1 to {}, such as 2048", kMaxVsockPort));
}

Result<MediationMapping> parse_mediation(std::string_view mapping) {
  const std::size_t equals = mapping.find('=');
  if (equals == std::string_view::npos) {
    return fail(ErrorKind::usage, "the mapping has no \"=\"", "write PORT=HOST:PORT, such as 2048=127.0.0.1:9900");
  }
  const auto port = parse_mediation_port(mapping.substr(0, equals));
  if (!port) return fail(port.error());
  return MediationMapping{*port, std::string(mapping.substr(equals + 1))};
}

std::string describe(const Mediation& mediation) { return fmt::format("{}={}", mediation.port, mediation.target); }

std::optional<Violation> find_mediation_violation(const Mediation& mediation) {
  if (mediation.port == 0 || mediation.port > kMaxVsockPort) {
    return Violation{"mediation.port", fmt::format("{} is not a vsock port", mediation.port),
                     fmt::format("use a number from 1 to {}, such as 2048", kMaxVsockPort)};
  }
  if (mediation.port >= kFirstOwnVsockPort && mediation.port <= kLastOwnVsockPort) {
    return Violation{
        "mediation.port",
        fmt::format("vsock ports {} to {} belong to microagent's own services", kFirstOwnVsockPort, kLastOwnVsockPort),
        "use another one, such as 2048"};
  }
  if (const auto target = parse_mediation_target(mediation.target); !target) {
    return Violation{"mediation.target", fmt::format("\"{}\": {}", mediation.target, target.error().message),
                     target.error().remediation};
  }
  if (mediation.required && !mediation.fail_closed) {
    return Violation{"mediation.failClosed", "a required channel fails closed",
                     "set mediation.required to false too, or leave mediation.failClosed out"};
  }
  return std::nullopt;
}

Json mediation_record(const Mediation& mediation) {
  return {{"enabled", true},
          {"required", mediation.required},
          {"port", mediation.port},
          {"target", mediation.target},
          {"failClosed", mediation.fail_closed}};
}

Result<Mediation> mediation_from_json(const Json& json, std::string_view file) {
  Mediation mediation;
  bool enabled = false;
  JsonFields fields(json, file, "mediation.");
  fields.read("enabled", enabled);
  if (!enabled) fields.reject("enabled", "is not true");
  fields.read("required", mediation.required);
  fields.read("port", mediation.port);
  fields.read("target", mediation.target);
  fields.read("failClosed", mediation.fail_closed);
  if (Status read = fields.finish(); !read) return fail(read.error());
  return mediation;
}

}  // namespace microagent::workspace
