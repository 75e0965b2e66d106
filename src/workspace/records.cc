#include "workspace/records.h"

#include "workspace/json_fields.h"
#include "workspace/mediation.h"
#include "workspace/runtime_json.h"

namespace microagent::workspace {
namespace {

using Json = nlohmann::json;

constexpr const char* kSignals[] = {"guestReady",  "execReady",      "shellReady",
                                    "resultReady", "mediationReady", "trustReady"};

// The values may be secrets.
Json env_names(const std::vector<std::string>& env) {
  Json names = Json::array();
  for (const std::string& variable : env) names.push_back(variable.substr(0, variable.find('=')));
  return names;
}

Json declared_record(const Manifest& manifest, State state) {
  Json record = {{"workspace", manifest.name},
                 {"state", to_string(state)},
                 {"backend", kBackend},
                 {"network", network_record(manifest.network)},
                 {"networkMode", to_string(manifest.network.mode)},
                 {"resources", {{"memoryMiB", manifest.resources.memory_mib}, {"cpus", manifest.resources.cpus}}},
                 {"egress", egress_record(manifest.egress)},
                 {"createdAt", manifest.created_at}};
  if (!manifest.swaps.empty()) record["egress"]["swaps"] = swaps_record(manifest.swaps);
  if (!manifest.env.empty()) record["envNames"] = env_names(manifest.env);
  if (!manifest.entrypoint.empty()) record["entrypoint"] = manifest.entrypoint;
  if (manifest.mediation) record["mediation"] = mediation_record(*manifest.mediation);
  record["restart"] = to_string(manifest.upkeep.restart);
  record.update(to_json(manifest.upkeep));
  if (manifest.resources.disk_mib != 0) record["resources"]["diskMiB"] = manifest.resources.disk_mib;
  if (manifest.image) record["image"] = image_record(*manifest.image);
  if (!manifest.command.empty()) record["command"] = manifest.command;
  if (!manifest.init.empty()) record["init"] = manifest.init;
  for (const Volume& volume : manifest.volumes) {
    record["volumes"].push_back({{"name", volume.name}, {"path", volume.path}});
  }
  for (const Bundle& bundle : manifest.bundles) {
    record["bundles"].push_back({{"file", bundle.file}, {"path", bundle.path}});
  }
  return record;
}

// A workspace that never started was last observed when it was created.
Event last_event(const Manifest& manifest, const Runtime& runtime) {
  const std::string& observed = runtime.observed_at.empty() ? manifest.created_at : runtime.observed_at;
  return {runtime.state, runtime.detail, observed};
}

// What the workspace's history does not hold yet, since the disk that it lies on has no room.
void add_pending(Json& record, std::string_view name, const Runtime& runtime) {
  if (runtime.pending) record["pendingEvent"] = event_record(name, *runtime.pending);
}

Json readiness_record(const Runtime& runtime) {
  Json record = Json::object();
  for (const char* name : kSignals) record[name] = to_json(Signal{});
  for (const auto& [name, signal] : runtime.readiness) record[name] = to_json(signal);
  return record;
}

}  // namespace

Json effective_record(const Network& network) { return to_json(effective(network)); }

Json runtime_network_record(const Manifest& manifest, const Runtime& runtime) {
  if (!runtime.network && runtime.forwards.empty() && runtime.state != State::running) return nullptr;
  Json record = runtime.network ? to_json(*runtime.network) : Json::object();
  record["mode"] = to_string(manifest.network.mode);
  if (!runtime.forwards.empty()) record["portForwards"] = forwards_to_json(runtime.forwards);
  return record;
}

Json event_record(std::string_view name, const Event& event) {
  Json record = to_json(event);
  record["identity"] = {{"runtimeID", name}, {"role", "workload"}, {"backend", kBackend}};
  return record;
}

Json create_record(const Manifest& manifest) {
  Json record = declared_record(manifest, State::prepared);
  record["event"] = event_record(manifest.name, {State::prepared, {}, manifest.created_at});
  return record;
}

Json status_record(const Manifest& manifest, const Runtime& runtime) {
  Json record = declared_record(manifest, runtime.state);
  record["event"] = event_record(manifest.name, last_event(manifest, runtime));
  record["readiness"] = readiness_record(runtime);
  if (Json network = runtime_network_record(manifest, runtime); !network.is_null()) {
    record["network"]["runtime"] = std::move(network);
  }
  if (!runtime.acceleration.empty()) record["acceleration"] = runtime.acceleration;
  if (!runtime.acceleration_reason.empty()) record["accelerationReason"] = runtime.acceleration_reason;
  if (!runtime.reason.empty()) record["reason"] = runtime.reason;
  if (runtime.exit_code) record["exitCode"] = *runtime.exit_code;
  if (runtime.supervisor_pid != 0) record["supervisorPid"] = runtime.supervisor_pid;
  if (!runtime.pids.empty()) record["pids"] = runtime.pids;
  add_pending(record, manifest.name, runtime);
  return record;
}

Json network_command_record(const Manifest& manifest, const Runtime& runtime) {
  Json record = {{"workspace", manifest.name},
                 {"state", to_string(runtime.state)},
                 {"backend", kBackend},
                 {"network", network_record(manifest.network)}};
  if (Json network = runtime_network_record(manifest, runtime); !network.is_null())
    record["runtime"] = std::move(network);
  return record;
}

Json list_record(const Manifest& manifest, const Runtime& runtime) {
  Json record = {{"name", manifest.name},
                 {"state", to_string(runtime.state)},
                 {"backend", kBackend},
                 {"network", network_record(manifest.network)},
                 {"networkMode", to_string(manifest.network.mode)},
                 {"restart", to_string(manifest.upkeep.restart)},
                 {"observedAt", last_event(manifest, runtime).observed_at},
                 {"createdAt", manifest.created_at}};
  add_pending(record, manifest.name, runtime);
  return record;
}

}  // namespace microagent::workspace
