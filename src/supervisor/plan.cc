#include "supervisor/plan.h"

#include <arpa/inet.h>
#include <fmt/format.h>

#include <algorithm>
#include <charconv>
#include <nlohmann/json.hpp>
#include <optional>

#include "base/check.h"
#include "wire/agent.h"
#include "workspace/mediation.h"
#include "workspace/state.h"
#include "workspace/volumes.h"

namespace microagent::supervisor {
namespace {

using Json = nlohmann::json;
using Ipv4 = std::array<std::uint8_t, 4>;

constexpr std::array<std::uint8_t, 6> kGuestMacBytes{0x02, 0x6d, 0x61, 0x00, 0x00, 0x02};
constexpr std::array<std::uint8_t, 6> kGatewayMacBytes{0x02, 0x6d, 0x61, 0x00, 0x00, 0x01};

// No declaration can take a port of ours (workspace/mediation.h cannot see wire/agent.h).
constexpr bool is_kept(std::uint32_t port) {
  return port >= workspace::kFirstOwnVsockPort && port <= workspace::kLastOwnVsockPort;
}
static_assert(is_kept(wire::kAgentHostPort) && is_kept(wire::kExecGuestPort));

// As mediator/mediation_channel.h reads it. The manifest has been validated.
Json mediation_config(const workspace::Mediation& mediation) {
  const auto target = workspace::parse_mediation_target(mediation.target).value_or(workspace::MediationTarget{});
  Json config = {{"port", mediation.port}, {"text", mediation.target}};
  if (!target.path.empty()) {
    config["path"] = target.path;
    return config;
  }
  config["host"] = target.host;
  config["tcpPort"] = target.port;
  return config;
}

std::optional<Ipv4> parse_ipv4(const std::string& text) {
  Ipv4 address{};
  if (::inet_pton(AF_INET, text.c_str(), address.data()) != 1) return std::nullopt;
  return address;
}

std::array<std::uint8_t, 16> ipv6_of(const char* text) {
  std::array<std::uint8_t, 16> address{};
  MICROAGENT_CHECK(::inet_pton(AF_INET6, text, address.data()) == 1);
  return address;
}

std::optional<std::uint8_t> parse_prefix_length(std::string_view text) {
  std::uint8_t length = 0;
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), length);
  if (error != std::errc() || end != text.data() + text.size() || length > 32) return std::nullopt;
  return length;
}

// The image's command, unless another one is declared: its entrypoint takes either as arguments, as with docker. An
// image with its own init runs nothing else.
std::vector<std::string> command_of(const workspace::Manifest& manifest) {
  if (!manifest.init.empty()) return {};
  if (!manifest.image) return manifest.command;
  std::vector<std::string> words = manifest.image->entrypoint;
  const auto& rest = manifest.command.empty() ? manifest.image->command : manifest.command;
  words.insert(words.end(), rest.begin(), rest.end());
  return words;
}

void add_image(const workspace::Image& image, wire::GuestConfig& config) {
  config.image_env = image.env;
  config.user = image.user;
  config.workdir = image.workdir;
  config.stop_signal = static_cast<std::uint32_t>(image.stop_signal);
  config.root_disk = true;
}

}  // namespace

Result<flow::Configure> wire_config(const workspace::Manifest& manifest, bool host_has_ipv6) {
  flow::Configure configure;
  configure.guest_mac = kGuestMacBytes;
  configure.gateway_mac = kGatewayMacBytes;
  configure.mtu = kMtu;
  configure.guest_cid = kGuestCid;
  if (manifest.network.mode == workspace::NetworkMode::isolated) return configure;

  const auto network = workspace::effective(manifest.network);
  const std::size_t slash = network.ip.find('/');
  const auto ip = parse_ipv4(network.ip.substr(0, slash));
  const auto gateway = parse_ipv4(network.gateway);
  const auto length =
      slash == std::string::npos ? std::nullopt : parse_prefix_length(std::string_view(network.ip).substr(slash + 1));
  if (!ip || !gateway || !length) {
    return fail(ErrorKind::permanent,
                fmt::format("network.ip {} with gateway {} is no IPv4 network", network.ip, network.gateway));
  }
  configure.guest_ip = *ip;
  configure.gateway_ip = *gateway;
  configure.prefix_length = *length;
  for (const std::string& text : network.dns) {
    // DHCP can tell IPv4 resolvers only (RFC 2132, 3.8); the guest's own configuration holds all.
    const auto resolver = parse_ipv4(text);
    if (resolver && configure.dns_count < configure.dns.size()) configure.dns[configure.dns_count++] = *resolver;
  }
  if (!host_has_ipv6) return configure;
  configure.has_ipv6 = 1;
  configure.guest_ip6 = ipv6_of(kGuestIp6);
  configure.gateway_ip6 = ipv6_of(kGatewayIp6);
  configure.prefix_length6 = kPrefixLength6;
  return configure;
}

std::string mediator_config(const workspace::Manifest& manifest, const std::filesystem::path& audit_file,
                            const std::vector<std::string>& trust) {
  Json config = {{"workspace", manifest.name},
                 {"mode", workspace::to_string(manifest.network.mode)},
                 {"auditFile", audit_file.string()},
                 {"resultFile", (audit_file.parent_path() / workspace::kResultFile).string()},
                 {"egress", workspace::to_json(manifest.egress)}};
  if (manifest.network.mode == workspace::NetworkMode::user) {
    const auto network = workspace::effective(manifest.network);
    config["network"] = {
        {"ip", network.ip}, {"subnet", network.subnet}, {"gateway", network.gateway}, {"dns", manifest.network.dns}};
  }
  if (!trust.empty()) config["trust"] = trust;
  if (!manifest.swaps.empty()) config["swaps"] = workspace::to_json(manifest.swaps);
  if (manifest.mediation) config["mediation"] = mediation_config(*manifest.mediation);
  return config.dump(-1, ' ', true, Json::error_handler_t::replace);
}

wire::GuestConfig guest_config(const workspace::Manifest& manifest, bool host_has_ipv6) {
  wire::GuestConfig config;
  config.hostname = manifest.name;
  config.env = manifest.env;
  config.entrypoint = manifest.entrypoint;
  config.command = command_of(manifest);
  config.init = manifest.init;
  for (const workspace::Volume& volume : manifest.volumes) config.volumes.push_back(volume.path);
  if (manifest.image) add_image(*manifest.image, config);
  if (manifest.network.mode == workspace::NetworkMode::isolated) return config;
  const auto network = workspace::effective(manifest.network);
  // Without the default route, which the guest adds by itself: so a declaration may use all the room there is.
  config.network = wire::GuestNetwork{kGuestMac, network.ip, network.gateway, network.dns, manifest.network.routes};
  if (host_has_ipv6) {
    config.network->ip6 = fmt::format("{}/{}", kGuestIp6, kPrefixLength6);
    config.network->gateway6 = kGatewayIp6;
  }
  return config;
}

workspace::Manifest for_a_copy(const workspace::Manifest& manifest) {
  workspace::Manifest bare;
  bare.name = manifest.name;
  bare.created_at = manifest.created_at;
  bare.network.mode = workspace::NetworkMode::isolated;
  bare.resources.memory_mib = std::min(manifest.resources.memory_mib, bare.resources.memory_mib);
  if (manifest.image)
    bare.image = workspace::Image{.reference = manifest.image->reference, .digest = manifest.image->digest};
  bare.volumes = manifest.volumes;
  return bare;
}

std::vector<vm::Disk> disks(const workspace::Manifest& manifest, const std::filesystem::path& directory,
                            const std::filesystem::path& state_root) {
  std::vector<vm::Disk> disks;
  if (manifest.image) disks.push_back({wire::kRootDisk, directory / workspace::kDiskFile, "qcow2"});
  for (std::size_t i = 0; i < manifest.volumes.size(); ++i) {
    disks.push_back({fmt::format("{}{}", wire::kVolumeDisk, i),
                     workspace::volume_file(state_root, manifest.volumes[i].name), "raw"});
  }
  return disks;
}

std::string kernel_arguments(vm::Accelerator accelerator, std::uint32_t tsc_khz) {
  // The kernel would test its ciphers against known answers at every boot.
  const std::string common = "console=ttyS0 quiet panic=-1 random.trust_cpu=on cryptomgr.notests";
  if (accelerator == vm::Accelerator::kvm) return common;
  // An emulated processor has none of the faults that mitigations are for, clearing every page that is handed out costs
  // it dearly, and nobody loads profiles for AppArmor. It cannot find out its own clock's rate (vm/tsc_meter.h). That
  // clock is the host's; the kernel would compare it with timer interrupts, of which a busy host delivers too few, and
  // go by those.
  return fmt::format("{} mitigations=off init_on_alloc=0 apparmor=0 no_timer_check tsc=reliable tsc_early_khz={}",
                     common, tsc_khz);
}

}  // namespace microagent::supervisor
