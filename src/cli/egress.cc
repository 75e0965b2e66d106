// microagent egress NAME

#include <fmt/format.h>

#include <chrono>

#include "audit/filter.h"
#include "audit/reader.h"
#include "audit/verify.h"
#include "base/ascii.h"
#include "cli/describe.h"
#include "cli/egress_change.h"
#include "cli/egress_words.h"
#include "cli/table.h"
#include "cli/workspace_watch.h"

namespace microagent::cli {
namespace {

using audit::ParsedRecord;
using Json = nlohmann::json;

struct TrailOptions {
  std::string name, host, since;
  std::vector<std::string> events;
  bool follow = false, denied = false, verify = false;
};

Result<audit::Filter> filter_of(const TrailOptions& options) {
  audit::Filter filter;
  for (const std::string& word : options.events) {
    const auto event = audit::parse_event(word);
    if (!event) return fail(with_context(event.error(), "--event"));
    filter.events.insert(*event);
  }
  filter.host = to_lower_ascii(options.host);
  if (!options.since.empty()) {
    const auto since = audit::parse_since(options.since, std::chrono::system_clock::now());
    if (!since) return fail(with_context(since.error(), "--since"));
    filter.since = *since;
  }
  filter.denied = options.denied;
  return filter;
}

// Every field of the record, and the line itself, by which the chain can be checked.
Json to_json(const ParsedRecord& record, std::string_view line) {
  Json json = Json::object();
  for (const auto& [key, value] : record.fields.items()) json[key] = value;
  json["raw"] = line;
  return json;
}

std::string subject_of(const ParsedRecord& record) {
  const std::string host = record.text("host"), dst = record.text("dst"), qname = record.text("qname");
  if (!qname.empty()) return fmt::format("{} {}", qname, record.text("qtype"));
  if (dst.empty()) return host.empty() ? "-" : host;
  return dst.starts_with(host) || host.empty() ? dst : fmt::format("{} ({})", dst, host);
}

std::string short_event(const ParsedRecord& record) {
  std::string_view name = audit::to_string(record.event);
  if (name.starts_with("egress_")) name.remove_prefix(7);
  return std::string(name);
}

std::vector<Cell> row_of(const ParsedRecord& record) {
  const Colour colour = audit::is_denial(record) ? Colour::red : Colour::none;
  return {short_time(record.text("ts")), Cell(short_event(record), colour), subject_of(record), words_of(record)};
}

Status show_trail(const Context& context, const TrailOptions& options, const std::filesystem::path& log,
                  const audit::Filter& filter) {
  Json records = Json::array();
  Table table({"TIME", "EVENT", "DESTINATION", "DETAIL"});
  audit::Reader reader(log);
  const Status read = reader.read_on([&](const ParsedRecord& record, std::string_view line) -> Status {
    if (!audit::matches(filter, record)) return {};
    if (context.out.json()) records.push_back(to_json(record, line));
    else table.add(row_of(record));
    return {};
  });
  if (!read) return read;
  if (context.out.json()) return context.out.record({{"workspace", options.name}, {"egress", std::move(records)}});
  return context.out.text(table.render(context.out));
}

// One record a line, as it comes: for programs the record itself.
Status follow_trail(const Context& context, const TrailOptions& options, const workspace::Store& store,
                    const std::filesystem::path& log, const audit::Filter& filter) {
  auto watch = WorkspaceWatch::open(store, options.name);
  if (!watch) return fail(watch.error());
  audit::Reader reader(log);
  const auto sink = [&](const ParsedRecord& record, std::string_view line) -> Status {
    if (!audit::matches(filter, record)) return {};
    if (context.out.json()) return context.out.text(to_json(record, line).dump() + "\n");
    Table table;
    table.add(row_of(record));
    return context.out.text(table.render(context.out));
  };
  for (;;) {
    // Asked before the last reading, so that no last record is lost.
    const auto over = watch->over();
    if (!over) return fail(over.error());
    if (Status read = reader.read_on(sink); !read) return read;
    if (*over) return {};
    watch->wait();
  }
}

Status show_verification(const Context& context, const TrailOptions& options, const std::filesystem::path& log) {
  const auto verified = audit::verify(log);
  if (!verified) {
    Error broken = verified.error();
    if (broken.remediation.empty()) broken.remediation = "compare it with a copy; nothing mends a log that was changed";
    return fail(std::move(broken));
  }
  if (context.out.json()) {
    return context.out.record({{"workspace", options.name},
                               {"verified", true},
                               {"records", verified->records},
                               {"firstSeq", verified->first_seq},
                               {"lastSeq", verified->last_seq},
                               {"tornBytes", verified->torn_bytes}});
  }
  return context.out.text(fmt::format("{}: the chain of {} records is whole, {} to {}\n", options.name,
                                      verified->records, verified->first_seq, verified->last_seq));
}

Result<int> trail(const Context& context, const TrailOptions& options) {
  if (options.name.empty()) {
    return fail(ErrorKind::usage, "NAME is missing: which workspace?", "see `microagent egress --help`");
  }
  const auto store = context.open_store();
  if (!store) return fail(store.error());
  if (const auto manifest = store->load_manifest(options.name); !manifest) return fail(manifest.error());
  const auto filter = filter_of(options);
  if (!filter) return fail(filter.error());
  const auto log = store->directory(options.name) / workspace::kAuditFile;
  Status told;
  if (options.verify) told = show_verification(context, options, log);
  else if (options.follow) told = follow_trail(context, options, *store, log, *filter);
  else told = show_trail(context, options, log, *filter);
  if (!told) return fail(told.error());
  return 0;
}

}  // namespace

void add_egress(Commands& commands) {
  auto [command, options] =
      commands.add<TrailOptions>("egress", "Show what a workspace reached and was refused; change its rules", trail);
  command->add_option("NAME", options->name, "the workspace")->type_name("");
  command->add_flag("--follow", options->follow, "go on until the workspace ends; with --json one record a line");
  add_list(*command, "--event", options->events, "only this event, such as deny or dns_allow; may be repeated")
      ->type_name("EVENT");
  command->add_option("--host", options->host, "only this host, or .SUFFIX")->type_name("HOST");
  command->add_option("--since", options->since, "a time, a date, or a time ago such as 15m")->type_name("TIME");
  command->add_flag("--denied", options->denied, "only what was kept from the guest");
  command->add_flag("--verify", options->verify, "follow the chain of the log in place of showing it");
  command->require_subcommand(0, 1);
  add_egress_changes(commands, *command);
  add_egress_explain(commands, *command);
  add_egress_learn(commands, *command);
}

}  // namespace microagent::cli
