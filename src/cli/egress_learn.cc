// microagent egress learn

#include <chrono>

#include "audit/filter.h"
#include "audit/reader.h"
#include "cli/egress_change.h"
#include "cli/egress_rules.h"

namespace microagent::cli {
namespace {

struct LearnOptions {
  std::string name, since;
  bool denied = false;
};

Result<std::set<std::string>> rules_needed(const std::filesystem::path& log, const LearnOptions& options) {
  audit::Filter filter;
  if (!options.since.empty()) {
    const auto since = audit::parse_since(options.since, std::chrono::system_clock::now());
    if (!since) return fail(with_context(since.error(), "--since"));
    filter.since = *since;
  }
  std::set<std::string> rules;
  audit::Reader reader(log);
  const Status read = reader.read_on([&](const audit::ParsedRecord& record, std::string_view) -> Status {
    if (!audit::matches(filter, record)) return {};
    if (std::string rule = rule_needed(record, options.denied); !rule.empty()) rules.insert(std::move(rule));
    return {};
  });
  if (!read) return fail(read.error());
  return rules;
}

Result<int> learn(const Context& context, const LearnOptions& options) {
  const auto store = context.open_store();
  if (!store) return fail(store.error());
  if (const auto manifest = store->load_manifest(options.name); !manifest) return fail(manifest.error());
  const auto rules = rules_needed(store->directory(options.name) / workspace::kAuditFile, options);
  if (!rules) return fail(rules.error());
  std::string lines;
  for (const std::string& rule : *rules) lines += printable(rule) + "\n";
  const Status told = context.out.json() ? context.out.record({{"workspace", options.name}, {"rules", *rules}})
                                         : context.out.text(lines);
  if (!told) return fail(told.error());
  return 0;
}

}  // namespace

void add_egress_learn(Commands& commands, CLI::App& parent) {
  auto [command, options] = commands.add_below<LearnOptions>(
      parent, "learn", "Print the rules that a locked workspace would have needed so far", learn);
  require_name(*command, options->name);
  command->add_option("--since", options->since, "a time, a date, or a time ago such as 15m")->type_name("TIME");
  command->add_flag("--denied", options->denied, "rules for what was refused, too");
  command->footer(
      "One rule a line, as `microagent egress allow NAME RULE...` takes it. Record a session with `create --observe`:\n"
      "it is judged as if locked, and nothing is denied.");
}

}  // namespace microagent::cli
