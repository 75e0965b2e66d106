// workspace.json.

#include <fmt/format.h>

#include <nlohmann/json.hpp>

#include "workspace/json_fields.h"
#include "workspace/manifest.h"
#include "workspace/mediation.h"

namespace microagent::workspace {
namespace {

using Json = nlohmann::json;

constexpr int kVersion = 1;

Result<Network> network_from_json(const Json& json, std::string_view file) {
  Network network;
  std::string mode;
  JsonFields fields(json, file, "network.");
  fields.read("mode", mode);
  fields.read_if_there("ip", network.ip);
  fields.read_if_there("subnet", network.subnet);
  fields.read_if_there("gateway", network.gateway);
  fields.read_if_there("dns", network.dns);
  fields.read_if_there("routes", network.routes);
  if (mode == "isolated") network.mode = NetworkMode::isolated;
  else if (mode != "user") fields.reject("mode", "is neither user nor isolated");
  if (const Json* forwards = fields.nested("portForwards", false)) {
    auto parsed = forwards_from_json(*forwards, file, "network.portForwards");
    if (!parsed) return fail(parsed.error());
    network.forwards = std::move(*parsed);
  }
  if (Status read = fields.finish(); !read) return fail(read.error());
  return network;
}

Status read_resources(const Json& json, std::string_view file, Resources& resources) {
  JsonFields fields(json, file, "resources.");
  fields.read("memoryMiB", resources.memory_mib);
  fields.read("cpus", resources.cpus);
  fields.read_if_there("diskMiB", resources.disk_mib);
  return fields.finish();
}

// A manifest of a version that knew none of it is one that declares none.
Status read_upkeep(JsonFields& fields, std::string_view file, Upkeep& upkeep) {
  std::string restart = "never";
  fields.read_if_there("restart", restart);
  if (const auto policy = parse_restart(restart)) upkeep.restart = *policy;
  else fields.reject("restart", "is not a restart policy");
  fields.read_if_there("ttlSeconds", upkeep.ttl);
  const Json* health = fields.nested("health", false);
  if (health == nullptr) return {};
  auto parsed = health_from_json(*health, file);
  if (!parsed) return fail(parsed.error());
  upkeep.health = std::move(*parsed);
  return {};
}

// A list of what has a name of some kind and a path in the guest; none where it is not there.
template <typename T>
Status read_places(JsonFields& fields, std::string_view file, const char* list, const char* key, std::string T::*name,
                   std::vector<T>& out) {
  const Json* json = fields.nested(list, false);
  if (json == nullptr) return {};
  if (!json->is_array()) return fail(foreign_file(file, fmt::format("has {} that are no list", list)));
  for (const Json& item : *json) {
    T place;
    JsonFields members(item, file, fmt::format("{}[].", list));
    members.read(key, place.*name);
    members.read("path", place.path);
    if (Status read = members.finish(); !read) return read;
    out.push_back(std::move(place));
  }
  return {};
}

// The image, and what is run and kept in it.
Status read_image(JsonFields& fields, std::string_view file, Manifest& manifest) {
  fields.read_if_there("command", manifest.command);
  fields.read_if_there("init", manifest.init);
  if (const Json* image = fields.nested("image", false)) {
    auto parsed = image_from_json(*image, file);
    if (!parsed) return fail(parsed.error());
    manifest.image = std::move(*parsed);
  }
  Status read = read_places(fields, file, "volumes", "name", &Volume::name, manifest.volumes);
  if (read) read = read_places(fields, file, "bundles", "file", &Bundle::file, manifest.bundles);
  return read;
}

}  // namespace

Json to_json(const Manifest& manifest) {
  Json json = {{"version", kVersion},
               {"name", manifest.name},
               {"createdAt", manifest.created_at},
               {"network", network_record(manifest.network)},
               {"resources", {{"memoryMiB", manifest.resources.memory_mib}, {"cpus", manifest.resources.cpus}}},
               {"env", manifest.env},
               {"entrypoint", manifest.entrypoint},
               {"egress", manifest_json(manifest.egress)}};
  if (!manifest.swaps.empty()) json["swaps"] = to_json(manifest.swaps);
  if (manifest.mediation) json["mediation"] = mediation_record(*manifest.mediation);
  json.update(to_json(manifest.upkeep));
  if (manifest.resources.disk_mib != 0) json["resources"]["diskMiB"] = manifest.resources.disk_mib;
  if (manifest.image) json["image"] = manifest_json(*manifest.image);
  if (!manifest.command.empty()) json["command"] = manifest.command;
  if (!manifest.init.empty()) json["init"] = manifest.init;
  for (const Volume& volume : manifest.volumes) {
    json["volumes"].push_back({{"name", volume.name}, {"path", volume.path}});
  }
  for (const Bundle& bundle : manifest.bundles) {
    json["bundles"].push_back({{"file", bundle.file}, {"path", bundle.path}});
  }
  return json;
}

Result<Manifest> manifest_from_json(const Json& json, std::string_view file) {
  Manifest manifest;
  int version = 0;
  JsonFields fields(json, file);
  fields.read("version", version);
  if (version != kVersion) fields.reject("version", "is not the one that this program writes");
  fields.read("name", manifest.name);
  fields.read("createdAt", manifest.created_at);
  fields.read("env", manifest.env);
  fields.read("entrypoint", manifest.entrypoint);
  if (const Json* network = fields.nested("network", true)) {
    auto parsed = network_from_json(*network, file);
    if (!parsed) return fail(parsed.error());
    manifest.network = std::move(*parsed);
  }
  if (const Json* resources = fields.nested("resources", true)) {
    fields.absorb(read_resources(*resources, file, manifest.resources));
  }
  if (const Json* egress = fields.nested("egress", true)) {
    auto parsed = egress_from_json(*egress, file);
    if (!parsed) return fail(parsed.error());
    manifest.egress = std::move(*parsed);
  }
  if (const Json* swaps = fields.nested("swaps", false)) {
    auto parsed = swaps_from_json(*swaps, file);
    if (!parsed) return fail(parsed.error());
    manifest.swaps = std::move(*parsed);
  }
  if (const Json* mediation = fields.nested("mediation", false)) {
    auto parsed = mediation_from_json(*mediation, file);
    if (!parsed) return fail(parsed.error());
    manifest.mediation = std::move(*parsed);
  }
  fields.absorb(read_upkeep(fields, file, manifest.upkeep));
  fields.absorb(read_image(fields, file, manifest));
  if (Status read = fields.finish(); !read) return fail(read.error());
  return manifest;
}

}  // namespace microagent::workspace
