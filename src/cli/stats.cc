// microagent stats

#include <fmt/format.h>
#include <poll.h>

#include <algorithm>
#include <chrono>
#include <map>

#include "cli/bytes_text.h"
#include "cli/command.h"
#include "cli/table.h"
#include "supervisor/client.h"

namespace microagent::cli {
namespace {

using Json = nlohmann::json;

constexpr std::chrono::seconds kPatience{2};
constexpr double kDefaultInterval = 1, kShortestInterval = 0.1, kLongestInterval = 3600;

struct StatsOptions {
  std::vector<std::string> names;
  bool follow = false;
  std::optional<double> interval;
};

// What one workspace uses: the sums, and each process's share. The network's part is the mediator's to tell, and is
// left out where it has no time for us.
Result<Json> take_stats(const workspace::Store& store, const std::string& name) {
  const auto usage = supervisor::usage(store, name);
  if (!usage) return fail(usage.error());
  double cpu_seconds = 0;
  std::uint64_t memory = 0;
  const Json processes = usage->value("processes", Json::object());
  for (const auto& [process, used] : processes.items()) {
    cpu_seconds += used.value("cpuSeconds", 0.0);
    memory += used.value("memoryBytes", std::uint64_t{0});
  }
  Json record = {{"workspace", name},
                 {"uptimeSeconds", usage->value("uptimeSeconds", 0.0)},
                 {"cpuSeconds", cpu_seconds},
                 {"memoryBytes", memory},
                 {"processes", processes}};
  const auto counters = supervisor::ask_mediator(store, name, {{"ask", "status"}}, kPatience);
  if (!counters) return record;
  for (const char* key : {"bytesOut", "bytesIn", "flows", "denials"}) record["network"][key] = (*counters)[key];
  return record;
}

using Names = std::vector<std::string>;

// Each that was asked for must run.
Result<std::vector<Json>> take_all(const workspace::Store& store, const Names& names) {
  std::vector<Json> all;
  for (const std::string& name : names) {
    auto stats = take_stats(store, name);
    if (!stats) return fail(stats.error());
    all.push_back(std::move(*stats));
  }
  return all;
}

std::vector<Json> take_those_that_run(const workspace::Store& store, const Names& names) {
  std::vector<Json> all;
  for (const std::string& name : names) {
    if (auto stats = take_stats(store, name)) all.push_back(std::move(*stats));
  }
  return all;
}

Result<std::vector<Json>> take_first(const workspace::Store& store, const Names& wanted) {
  if (!wanted.empty()) return take_all(store, wanted);
  const auto names = store.list();
  if (!names) return fail(names.error());
  return take_those_that_run(store, *names);
}

std::string time_span(double seconds) {
  const auto whole = static_cast<std::int64_t>(seconds);
  if (whole < 60) return fmt::format("{} s", whole);
  if (whole < 3600) return fmt::format("{}:{:02} min", whole / 60, whole % 60);
  return fmt::format("{}:{:02} h", whole / 3600, whole / 60 % 60);
}

// Of one processor, since the last look or, at the first, since the workspace runs.
double cpu_share(const Json& now, const Json* before) {
  const double used = now.value("cpuSeconds", 0.0) - (before != nullptr ? before->value("cpuSeconds", 0.0) : 0);
  const double span = now.value("uptimeSeconds", 0.0) - (before != nullptr ? before->value("uptimeSeconds", 0.0) : 0);
  return span > 0 ? std::max(0.0, 100 * used / span) : 0;
}

std::vector<Cell> row_of(const Json& stats, const Json* before) {
  std::vector<Cell> row = {stats.value("workspace", ""), time_span(stats.value("uptimeSeconds", 0.0)),
                           fmt::format("{:.1f} %", cpu_share(stats, before)),
                           bytes_text(stats.value("memoryBytes", std::uint64_t{0}))};
  const Json network = stats.value("network", Json());
  for (const char* key : {"bytesOut", "bytesIn"}) {
    row.emplace_back(network.is_null() ? "-" : bytes_text(network.value(key, std::uint64_t{0})));
  }
  for (const char* key : {"flows", "denials"}) {
    row.emplace_back(network.is_null() ? "-" : std::to_string(network.value(key, std::uint64_t{0})));
  }
  return row;
}

using Before = std::map<std::string, Json>;

std::string table_of(const Context& context, const std::vector<Json>& all, const Before& before) {
  Table table({"NAME", "UP", "CPU", "MEMORY", "OUT", "IN", "FLOWS", "REFUSED"});
  for (const Json& stats : all) {
    const auto last = before.find(stats.value("workspace", ""));
    table.add(row_of(stats, last == before.end() ? nullptr : &last->second));
  }
  return all.empty() ? "no workspace runs\n" : table.render(context.out);
}

Status tell_look(const Context& context, const std::vector<Json>& all, const Before& before) {
  if (!context.out.json()) return context.out.text(table_of(context, all, before) + "\n");
  for (const Json& stats : all) {
    if (Status told = context.out.line(stats); !told) return told;
  }
  return {};
}

// Until the time has passed, or the last of them has ended.
void pause(const workspace::Store& store, const Names& names, std::chrono::milliseconds interval) {
  Fd end;
  if (names.size() == 1) {
    if (auto watched = supervisor::watch_end(store, names[0])) end = std::move(*watched);
  }
  pollfd polled{end ? end.get() : -1, POLLIN, 0};
  ::poll(&polled, 1, static_cast<int>(interval.count()));
}

// Again and again until the last has ended.
Status follow(const Context& context, const workspace::Store& store, const StatsOptions& options) {
  const std::chrono::milliseconds interval(static_cast<int>(1000 * options.interval.value_or(kDefaultInterval)));
  auto all = take_first(store, options.names);
  if (!all) return fail(all.error());
  if (all->empty() && !context.out.json()) return context.out.text("no workspace runs\n");
  Before before;
  while (!all->empty()) {
    if (Status told = tell_look(context, *all, before); !told) return told;
    Names names;
    for (Json& stats : *all) {
      names.push_back(stats.value("workspace", ""));
      before[names.back()] = std::move(stats);
    }
    pause(store, names, interval);
    all = take_those_that_run(store, names);
  }
  return {};
}

Status show(const Context& context, const workspace::Store& store, const StatsOptions& options) {
  auto all = take_first(store, options.names);
  if (!all) return fail(all.error());
  if (!context.out.json()) return context.out.text(table_of(context, *all, {}));
  return context.out.record({{"workspaces", std::move(*all)}});
}

Result<int> stats(const Context& context, const StatsOptions& options) {
  if (options.interval && !options.follow) {
    return fail(ErrorKind::usage, "--interval: there is one look only", "add --follow");
  }
  const auto store = context.open_store();
  if (!store) return fail(store.error());
  for (const std::string& name : options.names) {
    if (const auto manifest = store->load_manifest(name); !manifest) return fail(manifest.error());
    if (const auto settled = store->load_settled_runtime(name); !settled) return fail(settled.error());
  }
  const Status told = options.follow ? follow(context, *store, options) : show(context, *store, options);
  if (!told) return fail(told.error());
  return 0;
}

}  // namespace

void add_stats(Commands& commands) {
  auto [command, options] =
      commands.add<StatsOptions>("stats", "Show what running workspaces use: processor, memory, network", stats);
  command->add_option("NAME", options->names, "the workspaces; all that run where left out")->type_name("");
  command->add_flag("-f,--follow", options->follow, "go on until they have ended; with --json one object a line");
  command->add_option("--interval", options->interval, "seconds between two looks with --follow, 1 by default")
      ->check(CLI::Range(kShortestInterval, kLongestInterval))
      ->type_name("SECONDS");
  command->footer(
      "CPU is the share of one processor since the look before, or at the first since the guest was ready; more than\n"
      "100 % is more than one. MEMORY is what is resident of QEMU, the guest's memory included, and of our three\n"
      "processes. OUT and IN are the bytes of the guest's egress that its caps count, FLOWS what lives now, REFUSED "
      "what\n"
      "was kept from it.");
}

}  // namespace microagent::cli
