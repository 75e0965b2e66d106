#include "mediator/config.h"

#include <fmt/format.h>
#include <unistd.h>

#include <array>
#include <cerrno>
#include <nlohmann/json.hpp>
#include <set>

#include "policy/policy_json.h"

namespace microagent::mediator {
namespace {

using Json = nlohmann::json;

constexpr std::size_t kMaxConfig = 64 * 1024 * 1024;  // 100,000 rules and their places take some 15 MiB

tl::unexpected<Error> bad(std::string_view key, std::string_view why) {
  return fail(ErrorKind::permanent, fmt::format("mediator configuration: {}: {}", key, why));
}

Status only_keys(const Json& object, std::string_view where, const std::set<std::string>& known) {
  for (const auto& [key, value] : object.items()) {
    if (!known.contains(key)) return bad(fmt::format("{}{}", where, key), "unknown key");
  }
  return {};
}

Result<std::string> text(const Json& object, const char* key) {
  const auto found = object.find(key);
  if (found == object.end() || !found->is_string()) return bad(key, "a text is wanted");
  return found->get<std::string>();
}

Result<std::vector<std::string>> texts(const Json& object, const char* key) {
  const auto found = object.find(key);
  if (found == object.end() || !found->is_array()) return bad(key, "a list is wanted");
  std::vector<std::string> all;
  for (const Json& item : *found) {
    if (!item.is_string()) return bad(key, "a list of texts is wanted");
    all.push_back(item.get<std::string>());
  }
  return all;
}

Result<policy::Address> address(const std::string& key, const std::string& value) {
  const auto parsed = policy::parse_address(value);
  if (!parsed) return bad(key, fmt::format("\"{}\" is not an IP address", value));
  return *parsed;
}

Result<Network> parse_network(const Json& object) {
  if (!object.is_object()) return bad("network", "an object is wanted");
  if (auto status = only_keys(object, "network.", {"ip", "subnet", "gateway", "dns"}); !status) {
    return fail(status.error());
  }
  const auto subnet = text(object, "subnet");
  if (!subnet) return fail(subnet.error());
  const auto gateway_text = text(object, "gateway");
  if (!gateway_text) return fail(gateway_text.error());
  const auto dns = texts(object, "dns");
  if (!dns) return fail(dns.error());

  const auto cidr = policy::parse_cidr(*subnet);
  if (!cidr) return bad("network.subnet", fmt::format("\"{}\" is not a prefix", *subnet));
  const auto gateway = address("network.gateway", *gateway_text);
  if (!gateway) return fail(gateway.error());
  Network network{*cidr, *gateway, {}};
  for (const std::string& resolver : *dns) {
    const auto parsed = address("network.dns", resolver);
    if (!parsed) return fail(parsed.error());
    network.declared_dns.push_back(*parsed);
  }
  return network;
}

Result<policy::SwapSet> parse_swaps(const Json& list) {
  const auto texts = policy::swaps_from_json(list, "mediator configuration: swaps");
  if (!texts) return fail(texts.error());
  return policy::SwapSet::compile(*texts);
}

Result<std::string> read_whole(int fd) {
  std::string content;
  std::array<char, 16 * 1024> chunk{};
  for (;;) {
    const ssize_t count = ::pread(fd, chunk.data(), chunk.size(), static_cast<off_t>(content.size()));
    if (count < 0 && errno == EINTR) continue;
    if (count < 0) return fail_errno(errno, "cannot read the mediator's configuration");
    if (count == 0) return content;
    content.append(chunk.data(), static_cast<std::size_t>(count));
    if (content.size() > kMaxConfig) return bad("all of it", "too long");
  }
}

}  // namespace

Result<Config> parse_config(std::string_view json) {
  const Json object = Json::parse(json, nullptr, false);
  if (!object.is_object()) return bad("all of it", "a JSON object is wanted");
  if (auto status = only_keys(
          object, "",
          {"workspace", "mode", "auditFile", "egress", "network", "mediation", "resultFile", "swaps", "trust"});
      !status) {
    return fail(status.error());
  }
  const auto workspace = text(object, "workspace");
  if (!workspace) return fail(workspace.error());
  const auto mode = text(object, "mode");
  if (!mode) return fail(mode.error());
  const auto audit_file = text(object, "auditFile");
  if (!audit_file) return fail(audit_file.error());
  if (!object.contains("egress")) return bad("egress", "missing");
  auto egress = policy::policy_from_json(object.at("egress"), "mediator configuration: egress");
  if (!egress) return fail(egress.error());
  if (*mode != "user" && *mode != "isolated") return bad("mode", "neither user nor isolated");

  Config config{*workspace, *audit_file, std::move(*egress), {}, {}, {}, {}, {}, {}};
  if (const auto channel = object.find("mediation"); channel != object.end()) {
    auto mediation = parse_mediation_config(*channel);
    if (!mediation) return fail(mediation.error());
    config.mediation = std::move(*mediation);
  }
  if (object.contains("resultFile")) {
    const auto result_file = text(object, "resultFile");
    if (!result_file) return fail(result_file.error());
    config.result_file = *result_file;
  }
  if (object.contains("trust")) {
    auto trust = texts(object, "trust");
    if (!trust) return fail(trust.error());
    config.trust = std::move(*trust);
  }
  if (object.contains("swaps")) {
    auto swaps = parse_swaps(object.at("swaps"));
    if (!swaps) return fail(swaps.error());
    config.swaps = std::move(*swaps);
  }
  if (*mode == "isolated") return config;
  if (!object.contains("network")) return bad("network", "missing");
  const auto network = parse_network(object.at("network"));
  if (!network) return fail(network.error());
  config.network = *network;
  return config;
}

Result<Config> read_config(int fd) {
  const auto content = read_whole(fd);
  if (!content) return fail(content.error());
  return parse_config(*content);
}

Result<policy::PolicyText> read_policy_file(int fd) {
  const auto content = read_whole(fd);
  if (!content) return fail(content.error());
  const Json json = Json::parse(*content, nullptr, false);
  if (json.is_discarded()) return bad("egress", "no JSON");
  return policy::policy_from_json(json, "egress");
}

}  // namespace microagent::mediator
