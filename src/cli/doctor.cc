// microagent doctor

#include <fmt/format.h>

#include <algorithm>

#include "cli/command.h"
#include "cli/probes.h"
#include "cli/table.h"
#include "workspace/forward.h"

namespace microagent::cli {
namespace {

using Json = nlohmann::json;

struct DoctorOptions {
  std::vector<std::string> publish;
};

Status tell_program(const Context& context, const std::vector<Check>& checks, bool ready, bool complete) {
  Json list = Json::array();
  for (const Check& check : checks) {
    Json item = {
        {"name", check.name}, {"required", check.required}, {"passed", check.passed}, {"detail", check.detail}};
    if (!check.remedy.empty()) item["remedy"] = check.remedy;
    list.push_back(std::move(item));
  }
  return context.out.record({{"verdict", !ready ? "failed" : complete ? "ok" : "degraded"}, {"checks", list}}, ready);
}

Status tell_people(const Context& context, const std::vector<Check>& checks, bool ready, bool complete) {
  Table table;
  for (const Check& check : checks) {
    const Cell verdict = check.passed     ? Cell("ok", Colour::green)
                         : check.required ? Cell("FAILED", Colour::red)
                                          : Cell("missing", Colour::yellow);
    table.add({verdict, check.name, check.detail});
    if (!check.remedy.empty()) table.add({"", "", "-> " + check.remedy});
  }
  const char* verdict = !ready     ? "workspaces cannot run here\n"
                        : complete ? ""
                                   : "workspaces can run here, with less\n";
  return context.out.text(table.render(context.out) + verdict);
}

Result<std::vector<workspace::Forward>> read_ports(const std::vector<std::string>& mappings) {
  std::vector<workspace::Forward> ports;
  for (const std::string& mapping : mappings) {
    const auto forwards = workspace::parse_publish(mapping);
    if (!forwards) return fail(with_context(forwards.error(), "--publish " + mapping));
    ports.insert(ports.end(), forwards->begin(), forwards->end());
  }
  return ports;
}

Result<int> doctor(const Context& context, const DoctorOptions& options) {
  const auto ports = read_ports(options.publish);
  if (!ports) return fail(ports.error());
  const auto checks = probe_all(workspace::state_root(context.state_dir), *ports);
  const bool complete = std::all_of(checks.begin(), checks.end(), [](const Check& check) { return check.passed; });
  const bool ready =
      std::all_of(checks.begin(), checks.end(), [](const Check& check) { return check.passed || !check.required; });
  const Status told = context.out.json() ? tell_program(context, checks, ready, complete)
                                         : tell_people(context, checks, ready, complete);
  if (!told) return fail(told.error());
  return ready ? 0 : 1;
}

}  // namespace

void add_doctor(Commands& commands) {
  auto [command, options] =
      commands.add<DoctorOptions>("doctor", "Probe everything that a workspace needs of this host", doctor);
  add_list(*command, "-p,--publish", options->publish,
           "a port that a workspace is to publish: can it be had? may be repeated")
      ->type_name("MAPPING");
  command->footer("Exit code 0 if workspaces can run, even where something that is not required is missing.");
}

}  // namespace microagent::cli
