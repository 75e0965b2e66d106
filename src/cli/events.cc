// microagent events

#include <fmt/format.h>

#include <string>

#include "cli/command.h"
#include "cli/describe.h"
#include "cli/log_follower.h"
#include "cli/table.h"
#include "workspace/json_fields.h"
#include "workspace/records.h"
#include "workspace/runtime_json.h"

namespace microagent::cli {
namespace {

using workspace::Event;

constexpr std::size_t kStateWidth = 11;  // "quarantined"

struct EventsOptions {
  std::string name;
  bool follow = false;
};

std::vector<Cell> row_of(const Event& event) {
  const std::string state(to_string(event.state));
  return {short_time(event.observed_at), Cell(state, colour_of_state(state)), event.detail};
}

Status show(const Context& context, const workspace::Store& store, const std::string& name) {
  const auto events = store.load_events(name);
  if (!events) return fail(events.error());
  nlohmann::json records = nlohmann::json::array();
  Table table({"TIME", "STATE", "DETAIL"});
  for (const Event& event : *events) {
    records.push_back(workspace::event_record(name, event));
    table.add(row_of(event));
  }
  if (context.out.json()) return context.out.record({{"workspace", name}, {"events", records}});
  return context.out.text(table.render(context.out));
}

Status tell(const Context& context, const std::string& name, const Event& event) {
  if (context.out.json()) return context.out.line(workspace::event_record(name, event));
  const std::string state(to_string(event.state));
  const std::string padding(kStateWidth - std::min(kStateWidth, state.size()), ' ');
  const std::string line =
      fmt::format("{}  {}{}  {}", short_time(event.observed_at), context.out.paint(colour_of_state(state), state),
                  padding, printable(event.detail));
  return context.out.text(line.substr(0, line.find_last_not_of(' ') + 1) + "\n");
}

// One event a line, as it comes.
Status follow(const Context& context, const workspace::Store& store, const std::string& name) {
  auto watch = WorkspaceWatch::open(store, name);
  if (!watch) return fail(watch.error());
  const auto path = store.directory(name) / workspace::kEventsFile;
  LineSplitter splitter([&](std::string_view line) -> Status {
    const auto json = workspace::parse_json(line, path.string());
    if (!json) return fail(json.error());
    const auto event = workspace::event_from_json(*json, path.string());
    if (!event) return fail(event.error());
    return tell(context, name, *event);
  });
  // What a crash left without a line end never came to pass: no finish().
  return follow_log(path, std::ref(splitter), *watch);
}

Result<int> events(const Context& context, const EventsOptions& options) {
  const auto store = context.open_store();
  if (!store) return fail(store.error());
  if (const auto manifest = store->load_manifest(options.name); !manifest) return fail(manifest.error());
  // A dead supervisor left an event to be told.
  if (const auto settled = store->load_settled_runtime(options.name); !settled) return fail(settled.error());
  const Status told = options.follow ? follow(context, *store, options.name) : show(context, *store, options.name);
  if (!told) return fail(told.error());
  return 0;
}

}  // namespace

void add_events(Commands& commands) {
  auto [command, options] = commands.add<EventsOptions>("events", "Show the history of a workspace's states", events);
  require_name(*command, options->name);
  command->add_flag("-f,--follow", options->follow, "go on until the workspace ends; with --json one event a line");
  command->footer("The last 4 to 8 MiB of a workspace's events are kept: those of thousands of lives.");
}

}  // namespace microagent::cli
