#include "cli/describe.h"

#include <fmt/format.h>
#include <fmt/ranges.h>

#include <algorithm>

#include "cli/table.h"
#include "workspace/forward.h"
#include "workspace/mediation.h"

namespace microagent::cli {
namespace {

using workspace::EffectiveNetwork;
using workspace::Forward;
using workspace::Manifest;
using workspace::Network;
using workspace::NetworkMode;
using workspace::Runtime;

std::string join(const std::vector<std::string>& words) {
  return words.empty() ? "-" : fmt::format("{}", fmt::join(words, ", "));
}

std::string ports(const std::vector<Forward>& forwards) {
  std::vector<std::string> words;
  for (const Forward& forward : forwards) words.push_back(workspace::describe(forward));
  return join(words);
}

std::string or_dash(const std::string& word) { return word.empty() ? "-" : word; }

std::string resources(const Manifest& manifest) {
  return fmt::format("{} MiB, {} processor{}", manifest.resources.memory_mib, manifest.resources.cpus,
                     manifest.resources.cpus == 1 ? "" : "s");
}

// "broker, locked, 2 allow, 1 deny".
std::string egress(const workspace::Egress& egress) {
  std::vector<std::string> words{egress.mode};
  if (egress.lock_allowlist) words.push_back("locked");
  if (egress.observe) words.push_back("observed");
  const auto count = [&](const auto& rules, const char* list) {
    if (!rules.empty()) words.push_back(fmt::format("{} {}", rules.size(), list));
  };
  count(egress.allow, "allow");
  count(egress.deny, "deny");
  count(egress.passthrough, "passthrough");
  count(egress.trust, "trusted file(s)");
  return join(words);
}

// "openai (static) for api.openai.com".
std::string describe(const workspace::DeclaredSwap& swap) {
  const auto domains = swap.fields.value("domains", std::vector<std::string>());
  return fmt::format("{} ({}) for {}", swap.name, swap.fields.value("type", "?"), fmt::join(domains, ", "));
}

void add_swaps(Table& table, const Manifest& manifest) {
  for (const workspace::DeclaredSwap& swap : manifest.swaps) {
    table.add({&swap == &manifest.swaps.front() ? "credentials" : "", describe(swap)});
  }
}

// A row for a value that is there.
void add_if(Table& table, const char* title, const std::string& value) {
  if (!value.empty()) table.add({title, value});
}

void add_upkeep(Table& table, const workspace::Upkeep& upkeep) {
  if (upkeep.restart != workspace::Restart{}) table.add({"restart", to_string(upkeep.restart)});
  if (upkeep.ttl != 0) table.add({"time to live", fmt::format("{} s", upkeep.ttl)});
  if (!upkeep.health) return;
  const workspace::Health& health = *upkeep.health;
  const std::string what =
      health.command.empty() ? fmt::format("port {} {}", health.http_port, health.http_path) : health.command;
  table.add({"health", fmt::format("{}, every {} s", what, health.interval)});
}

void add_image(Table& table, const Manifest& manifest) {
  if (manifest.image) table.add({"image", manifest.image->reference});
  for (const workspace::Bundle& bundle : manifest.bundles) {
    table.add(
        {&bundle == &manifest.bundles.front() ? "bundles" : "", fmt::format("{} in {}", bundle.file, bundle.path)});
  }
  for (const workspace::Volume& volume : manifest.volumes) {
    table.add(
        {&volume == &manifest.volumes.front() ? "volumes" : "", fmt::format("{} at {}", volume.name, volume.path)});
  }
}

// What runs if it runs, else what would.
void add_network(Table& table, const Manifest& manifest, const Runtime& runtime) {
  table.add({"network", std::string(to_string(manifest.network.mode))});
  if (manifest.network.mode == NetworkMode::isolated) return;
  const bool known = runtime.network.has_value();
  const EffectiveNetwork network = known ? *runtime.network : workspace::effective(manifest.network);
  table.add({"address", fmt::format("{} via {}", network.ip, network.gateway)});
  table.add({"resolvers", join(network.dns)});
  table.add({"published", ports(runtime.forwards.empty() ? manifest.network.forwards : runtime.forwards)});
}

void add_mediation(Table& table, const Manifest& manifest) {
  if (!manifest.mediation) return;
  const workspace::Mediation& channel = *manifest.mediation;
  table.add(
      {"mediation", fmt::format("{}, {}", workspace::describe(channel), channel.required ? "required" : "optional")});
}

std::string readiness(const Runtime& runtime) {
  std::vector<std::string> words;
  for (const auto& [name, signal] : runtime.readiness) {
    if (signal.ready) words.push_back(name);
    else if (!signal.error.empty()) words.push_back(fmt::format("{}: {}", name, signal.error));
  }
  return join(words);
}

// What the history of the workspace does not tell yet.
void add_pending(Table& table, const Runtime& runtime) {
  if (!runtime.pending) return;
  table.add({"pending", fmt::format("{}: {}; waits for room on the disk to be recorded",
                                    short_time(runtime.pending->observed_at), runtime.pending->detail)});
}

std::string acceleration(const Runtime& runtime) {
  if (runtime.acceleration_reason.empty()) return runtime.acceleration;
  return fmt::format("{} ({})", runtime.acceleration, runtime.acceleration_reason);
}

}  // namespace

std::string describe_plan(const Output& out, const Manifest& manifest) {
  Table table;
  table.add({"workspace", manifest.name});
  add_image(table, manifest);
  table.add({"resources", resources(manifest)});
  add_network(table, manifest, {});
  table.add({"egress", egress(manifest.egress)});
  add_swaps(table, manifest);
  add_mediation(table, manifest);
  add_upkeep(table, manifest.upkeep);
  add_if(table, "entrypoint", manifest.entrypoint);
  return table.render(out) + "nothing has been written\n";
}

std::string describe_status(const Output& out, const Manifest& manifest, const Runtime& runtime,
                            const nlohmann::json& live) {
  const std::string state(to_string(runtime.state));
  Table table;
  table.add({"workspace", manifest.name});
  table.add({"state", Cell(state, colour_of_state(state))});
  add_if(table, "detail", runtime.detail);
  add_pending(table, runtime);
  table.add({"since", short_time(runtime.observed_at.empty() ? manifest.created_at : runtime.observed_at)});
  add_image(table, manifest);
  add_network(table, manifest, runtime);
  table.add({"egress", egress(manifest.egress)});
  add_swaps(table, manifest);
  if (!live.is_null()) {
    table.add({"traffic", fmt::format("{} flows now, {} bytes out, {} bytes in, {} refusals", live.value("flows", 0U),
                                      live.value("bytesOut", std::uint64_t{0}), live.value("bytesIn", std::uint64_t{0}),
                                      live.value("denials", std::uint64_t{0}))});
  }
  add_mediation(table, manifest);
  table.add({"resources", resources(manifest)});
  if (!runtime.readiness.empty()) table.add({"ready", readiness(runtime)});
  add_upkeep(table, manifest.upkeep);
  add_if(table, "entrypoint", manifest.entrypoint);
  if (runtime.exit_code) table.add({"exit code", fmt::format("{}", *runtime.exit_code)});
  add_if(table, "acceleration", acceleration(runtime));
  return table.render(out);
}

std::string describe_network(const Output& out, const Manifest& manifest, const Runtime& runtime) {
  const Network& declared = manifest.network;
  const EffectiveNetwork running = runtime.network.value_or(EffectiveNetwork{});
  const std::string mode(to_string(declared.mode));
  const bool runs = runtime.state == workspace::State::running;
  Table table({"", "DECLARED", "RUNNING"});
  table.add({"mode", mode, runs ? mode : "-"});
  table.add({"ip", or_dash(declared.ip), or_dash(running.ip)});
  table.add({"subnet", or_dash(declared.subnet), or_dash(running.subnet)});
  table.add({"gateway", or_dash(declared.gateway), or_dash(running.gateway)});
  table.add({"dns", join(declared.dns), join(running.dns)});
  table.add({"routes", join(declared.routes), join(running.routes)});
  // One a row: a range may have many.
  for (std::size_t i = 0; i < std::max(declared.forwards.size(), runtime.forwards.size()); ++i) {
    const auto port = [i](const auto& list) { return i < list.size() ? workspace::describe(list[i]) : "-"; };
    table.add({i == 0 ? "published" : "", port(declared.forwards), port(runtime.forwards)});
  }
  return table.render(out);
}

std::string describe_ports(const Runtime& runtime) {
  std::string lines;
  for (const Forward& forward : runtime.forwards) lines += fmt::format("  {}\n", workspace::describe(forward));
  return lines;
}

std::string short_time(std::string_view timestamp) {
  const std::size_t dot = timestamp.find('.');
  if (dot == std::string_view::npos) return std::string(timestamp);
  return std::string(timestamp.substr(0, dot)) + "Z";
}

}  // namespace microagent::cli
