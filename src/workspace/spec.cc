#include "workspace/spec.h"

#include <fmt/format.h>

#include "workspace/egress_spec.h"
#include "workspace/files.h"
#include "workspace/forward.h"
#include "workspace/mediation.h"
#include "workspace/yaml_document.h"

namespace microagent::workspace {
namespace {

constexpr std::size_t kMaxSpec = 32 * 1024 * 1024;

using Texts = std::vector<Declared<std::string>>;

class SpecReader {
 public:
  SpecReader(YamlReader& yaml, Declaration& spec) : yaml_(yaml), spec_(spec) {}

  void read(const YamlValue& root) {
    yaml_.read_map(root,
                   {{"name", [this](const auto& v) { spec_.name = yaml_.scalar(v); }},
                    {"network", [this](const auto& v) { read_network(v); }},
                    {"resources", [this](const auto& v) { read_resources(v); }},
                    {"env", [this](const auto& v) { read_env(v); }},
                    {"entrypoint", [this](const auto& v) { spec_.entrypoint = yaml_.scalar(v); }},
                    {"image", [this](const auto& v) { spec_.image = yaml_.scalar(v); }},
                    {"command", [this](const auto& v) { read_texts(v, spec_.command); }},
                    {"init", [this](const auto& v) { spec_.init = yaml_.scalar(v); }},
                    {"volumes", [this](const auto& v) { read_volumes(v); }},
                    {"bundles", [this](const auto& v) { read_bundles(v); }},
                    {"egress", [this](const auto& v) { read_egress_map(yaml_, v, spec_.egress); }},
                    {"mediation", [this](const auto& v) { read_mediation(v); }},
                    {"restart", [this](const auto& v) { yaml_.read_scalar(v, spec_.upkeep.restart, parse_restart); }},
                    {"ttl", [this](const auto& v) { yaml_.read_scalar(v, spec_.upkeep.ttl, parse_duration); }},
                    {"health", [this](const auto& v) { read_health(v); }},
                    {"agent", [this](const auto& v) { read_agent(v); }}});
    take_from_agent(agent_entry_, spec_.entrypoint, "entrypoint");
    take_from_agent(agent_mode_, spec_.egress.mode, "egress.mode");
  }

 private:
  void read_network(const YamlValue& value) {
    yaml_.read_map(value, {{"mode", [this](const auto& v) { yaml_.read_scalar(v, spec_.mode, parse_mode); }},
                           {"forwards", [this](const auto& v) { read_forwards(v); }},
                           {"ip", [this](const auto& v) { spec_.ip = yaml_.scalar(v); }},
                           {"subnet", [this](const auto& v) { spec_.subnet = yaml_.scalar(v); }},
                           {"gateway", [this](const auto& v) { spec_.gateway = yaml_.scalar(v); }},
                           {"dns", [this](const auto& v) { read_texts(v, spec_.dns); }},
                           {"routes", [this](const auto& v) { read_texts(v, spec_.routes); }}});
  }

  void read_forwards(const YamlValue& value) {
    yaml_.read_list(value, [this](const YamlValue& item) { read_forward(item); });
  }

  void read_forward(const YamlValue& value) {
    std::optional<Declared<std::string>> protocol, host, host_port, guest_port;
    yaml_.read_map(value, {{"protocol", [&](const auto& v) { protocol = yaml_.scalar(v); }},
                           {"host", [&](const auto& v) { host = yaml_.scalar(v); }},
                           {"hostPort", [&](const auto& v) { host_port = yaml_.scalar(v); }},
                           {"guestPort", [&](const auto& v) { guest_port = yaml_.scalar(v); }}});
    if (!yaml_.status()) return;
    if (!host_port || !guest_port) return yaml_.reject(value, "a forward needs hostPort and guestPort", "write both");

    const auto text = [](const auto& part) { return part ? part->value : std::string(); };
    const auto forwards = expand({text(protocol), text(host), host_port->value, guest_port->value});
    if (!forwards) return yaml_.reject(value, forwards.error().message, forwards.error().remediation);
    for (const Forward& forward : *forwards) spec_.forwards.push_back({forward, yaml_.place(value)});
  }

  void read_resources(const YamlValue& value) {
    yaml_.read_map(value, {{"memory", [this](const auto& v) { yaml_.read_scalar(v, spec_.memory_mib, parse_memory); }},
                           {"cpus", [this](const auto& v) { yaml_.read_scalar(v, spec_.cpus, parse_cpus); }},
                           {"disk", [this](const auto& v) { yaml_.read_scalar(v, spec_.disk_mib, parse_disk); }}});
  }

  void read_volumes(const YamlValue& value) {
    yaml_.read_list(value, [this](const YamlValue& item) {
      std::optional<Declared<Volume>> volume;
      yaml_.read_scalar(item, volume, parse_volume);
      if (volume) spec_.volumes.push_back(std::move(*volume));
    });
  }

  void read_bundles(const YamlValue& value) {
    yaml_.read_list(value, [this](const YamlValue& item) {
      std::optional<Declared<Bundle>> bundle;
      yaml_.read_scalar(item, bundle, parse_bundle);
      if (bundle) spec_.bundles.push_back(std::move(*bundle));
    });
  }

  void read_env(const YamlValue& value) {
    if (value.node.IsSequence()) return read_texts(value, spec_.env);
    yaml_.read_entries(value, [this](const std::string& name, const YamlValue& entry) {
      if (const auto text = yaml_.scalar(entry)) spec_.env.push_back({name + "=" + text->value, text->place});
    });
  }

  void read_mediation(const YamlValue& value) {
    DeclaredMediation& channel = spec_.mediation;
    yaml_.read_map(value,
                   {{"enabled", [&](const auto& v) { yaml_.read_scalar(v, channel.enabled, parse_switch); }},
                    {"required", [&](const auto& v) { yaml_.read_scalar(v, channel.required, parse_switch); }},
                    {"failClosed", [&](const auto& v) { yaml_.read_scalar(v, channel.fail_closed, parse_switch); }},
                    {"port", [&](const auto& v) { yaml_.read_scalar(v, channel.port, parse_mediation_port); }},
                    {"target", [&](const auto& v) { channel.target = yaml_.scalar(v); }}});
  }

  void read_health(const YamlValue& value) {
    DeclaredUpkeep& out = spec_.upkeep;
    yaml_.read_map(
        value, {{"exec", [&](const auto& v) { out.command = yaml_.scalar(v); }},
                {"httpGet", [&](const auto& v) { out.http_path = yaml_.scalar(v); }},
                {"port", [&](const auto& v) { yaml_.read_scalar(v, out.http_port, parse_health_port); }},
                {"interval", [&](const auto& v) { yaml_.read_scalar(v, out.interval, parse_duration); }},
                {"timeout", [&](const auto& v) { yaml_.read_scalar(v, out.timeout, parse_duration); }},
                {"retries", [&](const auto& v) { yaml_.read_scalar(v, out.retries, parse_retries); }},
                {"startPeriod", [&](const auto& v) { yaml_.read_scalar(v, out.start_period, parse_start_period); }}});
  }

  // An older way to say what stands elsewhere, too.
  void read_agent(const YamlValue& value) {
    yaml_.read_map(value, {{"entry", [this](const auto& v) { agent_entry_ = v; }},
                           {"egress", [this](const auto& v) { agent_mode_ = v; }},
                           {"allow", [this](const auto& v) { read_egress_rules(yaml_, v, spec_.egress.allow); }},
                           {"cred-swap", [this](const auto& v) { read_texts(v, spec_.providers); }}});
  }

  // Once the rest is read, whichever stands first.
  void take_from_agent(const std::optional<YamlValue>& value, std::optional<Declared<std::string>>& out,
                       std::string_view key) {
    if (!value) return;
    if (out) return yaml_.reject(*value, fmt::format("{} says it too, at {}", key, out->place), "keep one of them");
    out = yaml_.scalar(*value);
  }

  void read_texts(const YamlValue& value, Texts& out) {
    yaml_.read_list(value, [&](const YamlValue& item) {
      if (auto text = yaml_.scalar(item)) out.push_back(std::move(*text));
    });
  }

  YamlReader& yaml_;
  Declaration& spec_;
  std::optional<YamlValue> agent_entry_, agent_mode_;
};

}  // namespace

Result<Declaration> load_spec(const std::filesystem::path& path) {
  const auto text = read_file(path, kMaxSpec);
  if (text) return parse_spec(*text, path.string());
  Error error = text.error();
  if (error.remediation.empty()) error.remediation = "give the path of a spec that you may read";
  return fail(std::move(error));
}

Result<Declaration> parse_spec(std::string_view text, std::string_view file) {
  Declaration spec;
  Status read = read_yaml_document(text, file,
                                   [&](YamlReader& yaml, const YamlValue& root) { SpecReader(yaml, spec).read(root); });
  if (!read) return fail(read.error());
  anchor_image(spec, std::filesystem::path(file).parent_path());
  anchor_bundles(spec, std::filesystem::path(file).parent_path());
  anchor_trust(spec.egress, std::filesystem::path(file).parent_path());
  return spec;
}

}  // namespace microagent::workspace
