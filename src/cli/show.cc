// microagent status, list, network

#include <fmt/format.h>

#include <chrono>

#include "cli/command.h"
#include "cli/describe.h"
#include "cli/network_change.h"
#include "cli/remedy.h"
#include "cli/table.h"
#include "supervisor/client.h"
#include "workspace/forward.h"
#include "workspace/records.h"

namespace microagent::cli {
namespace {

using workspace::Manifest;
using workspace::Runtime;
using workspace::Store;
using Json = nlohmann::json;

struct NameOption {
  std::string name;
};

struct NoOptions {};

// Both halves of what is known of a workspace.
struct Known {
  Manifest manifest;
  Runtime runtime;
};

Result<Known> look_up(const Store& store, const std::string& name) {
  auto manifest = store.load_manifest(name);
  if (!manifest) return fail(manifest.error());
  auto runtime = store.load_settled_runtime(name);
  if (!runtime) return fail(runtime.error());
  return Known{std::move(*manifest), std::move(*runtime)};
}

Result<Known> look_up(const Context& context, const std::string& name) {
  const auto store = context.open_store();
  if (!store) return fail(store.error());
  return look_up(*store, name);
}

Result<int> done(const Status& told) {
  if (!told) return fail(told.error());
  return 0;
}

// The same with what its supervisor could not write down yet. One that does not answer tells nothing.
Result<Known> look_closely(const Store& store, const std::string& name) {
  auto known = look_up(store, name);
  if (!known || !is_alive(known->runtime.state)) return known;
  if (auto pending = supervisor::pending_event(store, name)) known->runtime.pending = std::move(*pending);
  return known;
}

// The mediator's counters while it runs; null when it does not, or has no time for us.
Json live_egress(const Store& store, const Known& known) {
  constexpr std::chrono::seconds kPatience{2};
  const workspace::State state = known.runtime.state;
  if (state != workspace::State::running && state != workspace::State::quarantined) return {};
  const auto counters = supervisor::ask_mediator(store, known.manifest.name, {{"ask", "status"}}, kPatience);
  return counters ? *counters : Json();
}

Result<int> status(const Context& context, const NameOption& options) {
  const auto store = context.open_store();
  if (!store) return fail(store.error());
  const auto known = look_closely(*store, options.name);
  if (!known) return fail(known.error());
  const Json live = live_egress(*store, *known);
  if (context.out.json()) {
    Json record = workspace::status_record(known->manifest, known->runtime);
    if (!live.is_null()) record["egress"]["runtime"] = live;
    return done(context.out.record(std::move(record)));
  }
  return done(context.out.text(describe_status(context.out, known->manifest, known->runtime, live)));
}

Result<int> network(const Context& context, const NameOption& options) {
  if (options.name.empty()) {
    return fail(ErrorKind::usage, "NAME is required", "see `microagent network --help`");
  }
  const auto known = look_up(context, options.name);
  if (!known) return fail(known.error());
  if (context.out.json()) {
    return done(context.out.record(workspace::network_command_record(known->manifest, known->runtime)));
  }
  return done(context.out.text(describe_network(context.out, known->manifest, known->runtime)));
}

// A workspace whose files cannot be read has its row too, and does not hide the others.
Json unreadable_record(const std::string& name, const Error& error) {
  return {{"name", name},
          {"state", "unknown"},
          {"error", {{"kind", to_string(error.kind)}, {"message", error.message}, {"remediation", remedy(error)}}}};
}

std::vector<Cell> list_row(const std::string& name, const Result<Known>& known) {
  if (!known) return {name, Cell("unknown", Colour::red), "-", "-", known.error().message};
  const auto& [manifest, runtime] = *known;
  const std::string state(to_string(runtime.state));
  const auto& forwards = runtime.forwards.empty() ? manifest.network.forwards : runtime.forwards;
  std::string ports = forwards.empty() ? "-" : workspace::describe(forwards[0]);
  if (forwards.size() > 1) ports += fmt::format(" and {} more", forwards.size() - 1);
  std::string detail = runtime.detail;
  if (runtime.pending) detail += fmt::format("{}an event waits for room on the disk", detail.empty() ? "" : "; ");
  return {name, Cell(state, colour_of_state(state)), std::string(to_string(manifest.network.mode)), ports, detail};
}

Result<int> list(const Context& context, const NoOptions&) {
  const auto store = context.open_store();
  if (!store) return fail(store.error());
  const auto names = store->list();
  if (!names) return fail(names.error());
  Json rows = Json::array();
  Table table({"NAME", "STATE", "NETWORK", "PUBLISHED", "DETAIL"});
  for (const std::string& name : *names) {
    const auto known = look_closely(*store, name);
    // Deleted since its name was read.
    if (!known && known.error().kind == ErrorKind::not_found) continue;
    rows.push_back(known ? workspace::list_record(known->manifest, known->runtime)
                         : unreadable_record(name, known.error()));
    table.add(list_row(name, known));
  }
  if (context.out.json()) return done(context.out.record({{"workspaces", rows}}));
  return done(context.out.text(rows.empty() ? "no workspaces\n" : table.render(context.out)));
}

}  // namespace

void add_status(Commands& commands) {
  auto [command, options] = commands.add<NameOption>("status", "Show the state of a workspace", status);
  require_name(*command, options->name);
  command->footer("States: prepared starting running stopping stopped quarantined failed.");
}

void add_list_command(Commands& commands) {
  auto [command, options] = commands.add<NoOptions>("list", "Show all workspaces", list);
  command->alias("ls");
  command->footer("A workspace whose files cannot be read is in state unknown, with the reason.");
}

void add_network(Commands& commands) {
  auto [command, options] = commands.add<NameOption>(
      "network", "Show the declared and the running network; publish ports while it runs", network);
  command->add_option("NAME", options->name, "the workspace")->type_name("");
  command->require_subcommand(0, 1);
  add_network_changes(commands, *command);
}

}  // namespace microagent::cli
