// runtime.json and the lines of events.jsonl.

#include "workspace/runtime_json.h"

#include <fmt/format.h>

#include <array>
#include <utility>

#include "workspace/json_fields.h"

namespace microagent::workspace {
namespace {

using Json = nlohmann::json;

constexpr int kVersion = 1;

constexpr std::array<std::pair<State, std::string_view>, 8> kStates{{{State::prepared, "prepared"},
                                                                     {State::starting, "starting"},
                                                                     {State::running, "running"},
                                                                     {State::stopping, "stopping"},
                                                                     {State::stopped, "stopped"},
                                                                     {State::halted, "halted"},
                                                                     {State::quarantined, "quarantined"},
                                                                     {State::failed, "failed"}}};

void read_state(JsonFields& fields, State& out) {
  std::string word;
  fields.read("state", word);
  if (const auto state = state_from_string(word)) out = *state;
  else fields.reject("state", "is not a state");
}

Result<std::map<std::string, Signal>> readiness_from_json(const Json& json, std::string_view file) {
  if (!json.is_object()) return fail(foreign_file(file, "\"readiness\" is not an object"));
  std::map<std::string, Signal> readiness;
  for (const auto& [name, item] : json.items()) {
    Signal& signal = readiness[name];
    JsonFields fields(item, file, "readiness." + name + ".");
    fields.read("ready", signal.ready);
    fields.read_if_there("observedAt", signal.observed_at);
    fields.read_if_there("detail", signal.detail);
    fields.read_if_there("error", signal.error);
    if (Status read = fields.finish(); !read) return fail(read.error());
  }
  return readiness;
}

Result<std::vector<BootStage>> boot_from_json(const Json& json, std::string_view file) {
  if (!json.is_array()) return fail(foreign_file(file, "\"boot\" is not a list"));
  std::vector<BootStage> stages;
  for (const Json& item : json) {
    JsonFields fields(item, file, "boot.");
    BootStage stage;
    fields.read("stage", stage.name);
    fields.read("microseconds", stage.microseconds);
    if (Status read = fields.finish(); !read) return fail(read.error());
    stages.push_back(std::move(stage));
  }
  return stages;
}

Result<std::map<std::string, int>> pids_from_json(const Json& json, std::string_view file) {
  if (!json.is_object()) return fail(foreign_file(file, "\"pids\" is not an object"));
  std::map<std::string, int> pids;
  JsonFields fields(json, file, "pids.");
  for (const auto& [name, item] : json.items()) fields.read(name.c_str(), pids[name]);
  if (Status read = fields.finish(); !read) return fail(read.error());
  return pids;
}

Result<EffectiveNetwork> network_from_json(const Json& json, std::string_view file) {
  EffectiveNetwork network;
  JsonFields fields(json, file, "network.");
  fields.read("ip", network.ip);
  fields.read("subnet", network.subnet);
  fields.read("gateway", network.gateway);
  fields.read("dns", network.dns);
  fields.read("routes", network.routes);
  if (Status read = fields.finish(); !read) return fail(read.error());
  return network;
}

// Reads a nested part with its own parser.
template <typename T, typename Parse>
void read_part(JsonFields& fields, const char* key, bool required, Parse parse, T& out) {
  const Json* json = fields.nested(key, required);
  if (json == nullptr) return;
  auto parsed = parse(*json);
  if (parsed) out = std::move(*parsed);
  else fields.absorb(fail(parsed.error()));
}

}  // namespace

std::string_view to_string(State state) {
  for (const auto& [known, word] : kStates) {
    if (known == state) return word;
  }
  return "failed";
}

std::optional<State> state_from_string(std::string_view word) {
  for (const auto& [state, known] : kStates) {
    if (known == word) return state;
  }
  return std::nullopt;
}

bool is_alive(State state) {
  return state == State::starting || state == State::running || state == State::stopping || state == State::quarantined;
}

Json to_json(const Signal& signal) {
  Json json = {{"ready", signal.ready}};
  if (!signal.observed_at.empty()) json["observedAt"] = signal.observed_at;
  if (!signal.detail.empty()) json["detail"] = signal.detail;
  if (!signal.error.empty()) json["error"] = signal.error;
  return json;
}

Json to_json(const EffectiveNetwork& network) {
  return {{"ip", network.ip},
          {"subnet", network.subnet},
          {"gateway", network.gateway},
          {"dns", network.dns},
          {"routes", network.routes}};
}

Json to_json(const std::vector<BootStage>& stages) {
  Json json = Json::array();
  for (const BootStage& stage : stages) json.push_back({{"stage", stage.name}, {"microseconds", stage.microseconds}});
  return json;
}

Json to_json(const Runtime& runtime) {
  Json json = {{"version", kVersion},
               {"state", to_string(runtime.state)},
               {"detail", runtime.detail},
               {"observedAt", runtime.observed_at},
               {"supervisorPid", runtime.supervisor_pid},
               {"pids", runtime.pids},
               {"acceleration", runtime.acceleration},
               {"accelerationReason", runtime.acceleration_reason},
               {"readiness", Json::object()},
               {"forwards", forwards_to_json(runtime.forwards)}};
  for (const auto& [name, signal] : runtime.readiness) json["readiness"][name] = to_json(signal);
  if (!runtime.reason.empty()) json["reason"] = runtime.reason;
  if (!runtime.boot_id.empty()) json["bootID"] = runtime.boot_id;
  if (runtime.exit_code) json["exitCode"] = *runtime.exit_code;
  if (!runtime.boot.empty()) json["boot"] = to_json(runtime.boot);
  if (runtime.network) json["network"] = to_json(*runtime.network);
  if (runtime.before) json["before"] = to_json(*runtime.before);
  return json;
}

Result<Runtime> runtime_from_json(const Json& json, std::string_view file) {
  Runtime runtime;
  int version = 0;
  JsonFields fields(json, file);
  fields.read("version", version);
  if (version != kVersion) fields.reject("version", "is not the one that this program writes");
  read_state(fields, runtime.state);
  fields.read("detail", runtime.detail);
  fields.read("observedAt", runtime.observed_at);
  fields.read("supervisorPid", runtime.supervisor_pid);
  fields.read("acceleration", runtime.acceleration);
  fields.read("accelerationReason", runtime.acceleration_reason);
  fields.read_if_there("reason", runtime.reason);
  fields.read_if_there("bootID", runtime.boot_id);
  int exit_code = 0;
  fields.read_if_there("exitCode", exit_code);
  if (json.contains("exitCode")) runtime.exit_code = exit_code;
  read_part(
      fields, "pids", true, [&](const Json& part) { return pids_from_json(part, file); }, runtime.pids);
  read_part(
      fields, "readiness", true, [&](const Json& part) { return readiness_from_json(part, file); }, runtime.readiness);
  read_part(
      fields, "network", false, [&](const Json& part) { return network_from_json(part, file); }, runtime.network);
  read_part(
      fields, "forwards", true, [&](const Json& part) { return forwards_from_json(part, file, "forwards"); },
      runtime.forwards);
  read_part(
      fields, "boot", false, [&](const Json& part) { return boot_from_json(part, file); }, runtime.boot);
  Runtime before;
  read_part(
      fields, "before", false, [&](const Json& part) { return runtime_from_json(part, file); }, before);
  if (Status read = fields.finish(); !read) return fail(read.error());
  if (json.contains("before")) runtime.before = std::make_shared<const Runtime>(std::move(before));
  return runtime;
}

Json to_json(const Event& event) {
  Json json = {{"state", to_string(event.state)}, {"observedAt", event.observed_at}};
  if (!event.detail.empty()) json["detail"] = event.detail;
  if (!event.reason.empty()) json["reason"] = event.reason;
  return json;
}

Result<Event> event_from_json(const Json& json, std::string_view where) {
  Event event;
  JsonFields fields(json, where);
  read_state(fields, event.state);
  fields.read("observedAt", event.observed_at);
  fields.read_if_there("detail", event.detail);
  fields.read_if_there("reason", event.reason);
  if (Status read = fields.finish(); !read) return fail(read.error());
  return event;
}

}  // namespace microagent::workspace
