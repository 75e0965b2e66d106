// microagent network publish, unpublish

#include "cli/network_change.h"

#include <fmt/format.h>

#include <algorithm>

#include "cli/describe.h"
#include "cli/live_change.h"
#include "supervisor/client.h"
#include "workspace/forward.h"
#include "workspace/records.h"

namespace microagent::cli {
namespace {

using workspace::Forward;
using workspace::Manifest;
using workspace::Runtime;
using workspace::Store;

struct PortOptions {
  std::string name;
  std::vector<std::string> mappings;
};

using Forwards = std::vector<Forward>;

Result<Forwards> read_mappings(const std::vector<std::string>& mappings) {
  Forwards all;
  for (const std::string& mapping : mappings) {
    const auto forwards = workspace::parse_publish(mapping);
    if (!forwards) return fail(with_context(forwards.error(), mapping));
    all.insert(all.end(), forwards->begin(), forwards->end());
  }
  return all;
}

// Where a declared port is published now: the same, but for host port 0. They stand in one order.
Forward real_port(const Forwards& declared, const Forwards& real, std::size_t index) {
  return real.size() == declared.size() ? real[index] : declared[index];
}

Result<Forwards> with_ports(const Forwards& declared, const Forwards&, const Forwards& more) {
  Forwards all = declared;
  all.insert(all.end(), more.begin(), more.end());
  return all;
}

// A mapping may be named as it was declared, or as it is: 0:80, or the port that it got.
Result<Forwards> without_ports(const Forwards& declared, const Forwards& real, const Forwards& less) {
  Forwards rest;
  for (std::size_t i = 0; i < declared.size(); ++i) {
    const bool named =
        std::ranges::count(less, declared[i]) + std::ranges::count(less, real_port(declared, real, i)) > 0;
    if (!named) rest.push_back(declared[i]);
  }
  for (const Forward& forward : less) {
    if (std::ranges::count(declared, forward) + std::ranges::count(real, forward) > 0) continue;
    return fail(ErrorKind::not_found, fmt::format("{} is not published", workspace::describe(forward)),
                "microagent network NAME shows what is");
  }
  return rest;
}

Status tell(const Context& context, const std::string& word, const Manifest& manifest,
            const std::optional<Runtime>& runtime) {
  const Runtime none;
  if (context.out.json()) {
    auto record = workspace::network_command_record(manifest, runtime.value_or(none));
    record["change"] = word;
    record["running"] = runtime.has_value();
    return context.out.record(std::move(record));
  }
  const Forwards& ports = runtime ? runtime->forwards : manifest.network.forwards;
  std::string text = fmt::format("{}: {}:", manifest.name, runtime ? "published now" : "recorded; it does not run");
  for (const Forward& forward : ports) text += " " + workspace::describe(forward);
  return context.out.text(text + (ports.empty() ? " no port\n" : "\n"));
}

using Change = Result<Forwards> (*)(const Forwards& declared, const Forwards& real, const Forwards& named);

Result<int> change_ports(const Context& context, const PortOptions& options, const std::string& word, Change change) {
  const auto named = read_mappings(options.mappings);
  if (!named) return fail(named.error());
  const auto store = context.open_store();
  if (!store) return fail(store.error());
  const auto lock = store->lock_changes(options.name);
  if (!lock) return fail(lock.error());
  const auto before = store->load_manifest(options.name);
  if (!before) return fail(before.error());
  const auto runtime = store->load_settled_runtime(options.name);
  if (!runtime) return fail(runtime.error());
  auto forwards = change(before->network.forwards, runtime->forwards, *named);
  if (!forwards) return fail(forwards.error());

  Manifest after = *before;
  after.network.forwards = std::move(*forwards);
  if (Status valid = workspace::validate(after); !valid) return fail(valid.error());
  if (Status written = store->replace_manifest(after); !written) return fail(written.error());
  const auto applied = bring_into_effect(*store, *before, supervisor::apply_ports);
  if (!applied) return fail(applied.error());
  if (Status told = tell(context, word, after, *applied); !told) return fail(told.error());
  return 0;
}

Result<int> publish(const Context& context, const PortOptions& options) {
  return change_ports(context, options, "publish", with_ports);
}

Result<int> unpublish(const Context& context, const PortOptions& options) {
  return change_ports(context, options, "unpublish", without_ports);
}

void add_change(Commands& commands, CLI::App& parent, const std::string& word, const std::string& summary,
                Result<int> (*run)(const Context&, const PortOptions&)) {
  auto [command, options] = commands.add_below<PortOptions>(parent, word, summary, run);
  require_name(*command, options->name);
  command->add_option("MAPPING", options->mappings, "[HOST:]HOSTPORT:GUESTPORT[/tcp|/udp]")->required()->type_name("");
}

}  // namespace

void add_network_changes(Commands& commands, CLI::App& parent) {
  add_change(commands, parent, "publish", "Publish further ports, at once where the workspace runs", publish);
  add_change(commands, parent, "unpublish", "Give ports back; connections that came through them go on", unpublish);
}

}  // namespace microagent::cli
