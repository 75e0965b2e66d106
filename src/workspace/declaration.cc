#include "workspace/declaration.h"

#include <fmt/format.h>

#include <algorithm>
#include <cctype>
#include <limits>
#include <map>

#include "workspace/ip.h"
#include "workspace/route.h"
#include "workspace/rules.h"

namespace microagent::workspace {
namespace {

using Text = Declared<std::string>;

template <typename T>
void append(std::vector<T>& list, std::vector<T> more) {
  list.insert(list.end(), std::make_move_iterator(more.begin()), std::make_move_iterator(more.end()));
}

template <typename T>
void prefer(std::optional<T>& flag, std::optional<T>& spec) {
  if (!flag) flag = std::move(spec);
}

std::string_view variable_name(std::string_view variable) { return variable.substr(0, variable.find('=')); }

std::string canonical_route(const std::string& text) {
  const auto route = parse_route(text);
  return route ? to_text(*route) : text;
}

// Fills a manifest and remembers where each of its values was written, by the key that a violation names.
class Resolver {
 public:
  template <typename T, typename U>
  void set(const char* key, const std::optional<Declared<T>>& from, U& to) {
    if (!from) return;
    to = from->value;
    places_[key] = from->place;
  }

  // The place alone, of a value that is resolved elsewhere.
  template <typename T>
  void note(const char* key, const std::optional<Declared<T>>& from) {
    if (from) places_[key] = from->place;
  }

  // An entry that is there already is not repeated.
  void unite(const char* key, const std::vector<Text>& from, std::vector<std::string>& to) {
    for (const Text& entry : from) {
      if (std::find(to.begin(), to.end(), entry.value) == to.end()) add(key, entry.value, entry.place, to);
    }
  }

  template <typename T>
  void add(const char* key, T value, const std::string& place, std::vector<T>& to) {
    places_[fmt::format("{}[{}]", key, to.size())] = place;
    to.push_back(std::move(value));
  }

  void set_variable(const Text& variable, std::vector<std::string>& env) {
    const auto same = std::find_if(env.begin(), env.end(), [&](const std::string& other) {
      return variable_name(other) == variable_name(variable.value);
    });
    if (same == env.end()) return add("env", variable.value, variable.place, env);
    *same = variable.value;
    places_[fmt::format("env[{}]", same - env.begin())] = variable.place;
  }

  const std::string& place_of(const std::string& key) const {
    const auto place = places_.find(key);
    return place == places_.end() ? key : place->second;
  }

 private:
  std::map<std::string, std::string> places_;
};

void resolve_egress(const EgressDeclaration& declared, Resolver& resolver, Egress& egress) {
  resolver.set("egress.mode", declared.mode, egress.mode);
  resolver.set("egress.lockAllowlist", declared.lock_allowlist, egress.lock_allowlist);
  resolver.set("egress.observe", declared.observe, egress.observe);
  resolver.set("egress.maxTotalBytes", declared.max_total_bytes, egress.max_total_bytes);
  resolver.set("egress.maxBytesPerSecond", declared.max_bytes_per_second, egress.max_bytes_per_second);
  resolver.set("egress.maxConnections", declared.max_connections, egress.max_connections);
  for (const EgressRule& rule : declared.allow) resolver.add("egress.allow", rule, rule.place, egress.allow);
  for (const EgressRule& rule : declared.deny) resolver.add("egress.deny", rule, rule.place, egress.deny);
  for (const EgressRule& rule : declared.passthrough) {
    resolver.add("egress.passthrough", rule, rule.place, egress.passthrough);
  }
  for (const Text& file : declared.trust) resolver.add("egress.trust", file.value, file.place, egress.trust);
}

void note_upkeep(const DeclaredUpkeep& declared, Resolver& resolver) {
  resolver.note("ttl", declared.ttl);
  resolver.note("health.exec", declared.command);
  resolver.note("health.httpGet", declared.http_path);
  resolver.note("health.port", declared.http_port);
  resolver.note("health.interval", declared.interval);
  resolver.note("health.timeout", declared.timeout);
  resolver.note("health.retries", declared.retries);
  resolver.note("health.startPeriod", declared.start_period);
}

}  // namespace

Result<NetworkMode> parse_mode(std::string_view text) {
  if (text == "user") return NetworkMode::user;
  if (text == "isolated") return NetworkMode::isolated;
  return fail(ErrorKind::usage, fmt::format("\"{}\" is not a network mode", text), "use user or isolated");
}

namespace {

Result<std::uint32_t> parse_size(std::string_view text, std::string_view what) {
  const std::size_t digits = std::min(text.find_first_not_of("0123456789"), text.size());
  std::string unit(text.substr(digits));
  std::transform(unit.begin(), unit.end(), unit.begin(), [](unsigned char c) { return std::tolower(c); });
  const bool gib = unit == "g" || unit == "gb" || unit == "gib";
  const bool mib = unit.empty() || unit == "m" || unit == "mb" || unit == "mib";
  const auto number = parse_number(text.substr(0, digits), std::numeric_limits<std::uint32_t>::max() / 1024);
  if (!number || (!gib && !mib)) {
    return fail(ErrorKind::usage, fmt::format("\"{}\" is not a size of {}", text, what),
                "write a whole number of MiB or GiB, such as 512, 512MiB or 2GiB");
  }
  return gib ? *number * 1024 : *number;
}

}  // namespace

Result<std::uint32_t> parse_memory(std::string_view text) { return parse_size(text, "memory"); }

Result<std::uint32_t> parse_disk(std::string_view text) { return parse_size(text, "a disk"); }

Result<Volume> parse_volume(std::string_view text) {
  const std::size_t colon = text.find(':');
  if (colon == std::string_view::npos) {
    return fail(ErrorKind::usage, fmt::format("\"{}\" is no volume", text),
                "write NAME:/PATH, such as data:/var/lib/data");
  }
  return Volume{std::string(text.substr(0, colon)), std::string(text.substr(colon + 1))};
}

Result<Bundle> parse_bundle(std::string_view text) {
  const std::size_t colon = text.rfind(":/");
  const std::string_view file = text.substr(0, colon);
  if (file.empty()) {
    return fail(ErrorKind::usage, fmt::format("\"{}\" is no bundle", text),
                "write FILE or FILE:/PATH, such as app.tar.gz:/srv/app");
  }
  return Bundle{std::string(file), colon == std::string_view::npos ? "/" : std::string(text.substr(colon + 1))};
}

Result<std::uint32_t> parse_cpus(std::string_view text) {
  const auto number = parse_number(text, std::numeric_limits<std::uint32_t>::max());
  if (number) return *number;
  return fail(ErrorKind::usage, fmt::format("\"{}\" is not a number of processors", text),
              fmt::format("give 1 to {}", kMaxCpus));
}

Declaration unite(Declaration flags, Declaration spec) {
  prefer(flags.name, spec.name);
  prefer(flags.mode, spec.mode);
  prefer(flags.ip, spec.ip);
  prefer(flags.subnet, spec.subnet);
  prefer(flags.gateway, spec.gateway);
  prefer(flags.memory_mib, spec.memory_mib);
  prefer(flags.cpus, spec.cpus);
  prefer(flags.entrypoint, spec.entrypoint);
  prefer(flags.image, spec.image);
  prefer(flags.init, spec.init);
  prefer(flags.disk_mib, spec.disk_mib);
  if (flags.command.empty()) flags.command = std::move(spec.command);
  // The spec's entries first.
  std::swap(flags.forwards, spec.forwards);
  std::swap(flags.dns, spec.dns);
  std::swap(flags.routes, spec.routes);
  std::swap(flags.env, spec.env);
  std::swap(flags.volumes, spec.volumes);
  std::swap(flags.bundles, spec.bundles);
  append(flags.forwards, std::move(spec.forwards));
  append(flags.dns, std::move(spec.dns));
  append(flags.routes, std::move(spec.routes));
  append(flags.env, std::move(spec.env));
  append(flags.volumes, std::move(spec.volumes));
  append(flags.bundles, std::move(spec.bundles));
  flags.egress = unite(std::move(flags.egress), std::move(spec.egress));
  append(flags.providers, std::move(spec.providers));
  flags.mediation = unite(std::move(flags.mediation), std::move(spec.mediation));
  flags.upkeep = unite(std::move(flags.upkeep), std::move(spec.upkeep));
  return flags;
}

EgressDeclaration unite(EgressDeclaration stronger, EgressDeclaration weaker) {
  prefer(stronger.mode, weaker.mode);
  prefer(stronger.lock_allowlist, weaker.lock_allowlist);
  prefer(stronger.observe, weaker.observe);
  prefer(stronger.max_total_bytes, weaker.max_total_bytes);
  prefer(stronger.max_bytes_per_second, weaker.max_bytes_per_second);
  prefer(stronger.max_connections, weaker.max_connections);
  std::swap(stronger.allow, weaker.allow);
  std::swap(stronger.deny, weaker.deny);
  std::swap(stronger.passthrough, weaker.passthrough);
  std::swap(stronger.trust, weaker.trust);
  std::swap(stronger.swaps, weaker.swaps);
  append(stronger.allow, std::move(weaker.allow));
  append(stronger.deny, std::move(weaker.deny));
  append(stronger.passthrough, std::move(weaker.passthrough));
  append(stronger.trust, std::move(weaker.trust));
  append(stronger.swaps, std::move(weaker.swaps));
  return stronger;
}

void anchor_trust(EgressDeclaration& egress, const std::filesystem::path& directory) {
  for (Text& file : egress.trust) {
    if (!file.value.empty()) file.value = std::filesystem::absolute(directory / file.value).lexically_normal();
  }
}

std::string anchored_image(const std::string& text, const std::filesystem::path& directory) {
  for (const std::string_view scheme : {"oci:", "docker-archive:"}) {
    if (!text.starts_with(scheme) || text.size() == scheme.size()) continue;
    const auto place = std::filesystem::absolute(directory / text.substr(scheme.size())).lexically_normal();
    return std::string(scheme) + place.string();
  }
  return text;
}

void anchor_image(Declaration& declaration, const std::filesystem::path& directory) {
  if (declaration.image) declaration.image->value = anchored_image(declaration.image->value, directory);
}

void anchor_bundles(Declaration& declaration, const std::filesystem::path& directory) {
  for (auto& [bundle, place] : declaration.bundles) {
    bundle.file = std::filesystem::absolute(directory / bundle.file).lexically_normal();
  }
}

Result<Manifest> resolve(const Declaration& declaration) {
  for (const auto* text : {&declaration.ip, &declaration.subnet, &declaration.gateway}) {
    if (!*text || !(*text)->value.empty()) continue;
    return fail(ErrorKind::usage, fmt::format("{}: is empty", (*text)->place), "leave it out, or give an address");
  }
  Manifest manifest;
  Network& network = manifest.network;
  Resolver resolver;
  resolver.set("name", declaration.name, manifest.name);
  resolver.set("network.mode", declaration.mode, network.mode);
  resolver.set("network.ip", declaration.ip, network.ip);
  resolver.set("network.subnet", declaration.subnet, network.subnet);
  resolver.set("network.gateway", declaration.gateway, network.gateway);
  resolver.set("resources.memory", declaration.memory_mib, manifest.resources.memory_mib);
  resolver.set("resources.cpus", declaration.cpus, manifest.resources.cpus);
  resolver.set("entrypoint", declaration.entrypoint, manifest.entrypoint);
  resolver.set("init", declaration.init, manifest.init);
  resolver.set("resources.disk", declaration.disk_mib, manifest.resources.disk_mib);
  if (declaration.image) {
    manifest.image.emplace();
    resolver.set("image", declaration.image, manifest.image->reference);
  }
  for (const auto& [word, place] : declaration.command) resolver.add("command", word, place, manifest.command);
  for (const auto& [volume, place] : declaration.volumes) resolver.add("volumes", volume, place, manifest.volumes);
  for (const auto& [bundle, place] : declaration.bundles) resolver.add("bundles", bundle, place, manifest.bundles);
  resolver.unite("network.dns", declaration.dns, network.dns);
  for (const Text& route : declaration.routes) {
    resolver.unite("network.routes", {{canonical_route(route.value), route.place}}, network.routes);
  }
  resolve_egress(declaration.egress, resolver, manifest.egress);
  for (const DeclaredSwap& swap : declaration.egress.swaps) {
    resolver.add("egress.swaps", swap, swap.place, manifest.swaps);
  }
  for (const auto& [forward, place] : declaration.forwards) {
    resolver.add("network.forwards", forward, place, network.forwards);
  }
  for (const Text& variable : declaration.env) resolver.set_variable(variable, manifest.env);
  resolver.note("mediation.port", declaration.mediation.port);
  resolver.note("mediation.target", declaration.mediation.target);
  resolver.note("mediation.failClosed", declaration.mediation.fail_closed);
  const auto mediation = resolve(declaration.mediation);
  if (!mediation) return fail(mediation.error());
  manifest.mediation = *mediation;
  note_upkeep(declaration.upkeep, resolver);
  auto upkeep = resolve(declaration.upkeep);
  if (!upkeep) return fail(upkeep.error());
  manifest.upkeep = std::move(*upkeep);

  const auto violation = find_violation(manifest);
  if (!violation) return manifest;
  return fail(ErrorKind::usage, fmt::format("{}: {}", resolver.place_of(violation->key), violation->message),
              violation->remediation);
}

}  // namespace microagent::workspace
