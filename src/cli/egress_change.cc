// microagent egress allow, deny, passthrough, remove, list

#include "cli/egress_change.h"

#include <fmt/format.h>
#include <fmt/ranges.h>

#include <algorithm>

#include "cli/egress_flags.h"
#include "cli/egress_rules.h"
#include "cli/live_change.h"
#include "cli/swap_flags.h"
#include "cli/table.h"
#include "supervisor/client.h"

namespace microagent::cli {
namespace {

using policy::List;
using workspace::Egress;
using workspace::Manifest;
using workspace::Store;
using Json = nlohmann::json;

struct ChangeOptions {
  std::string name;
  std::vector<std::string> rules;
};

struct ListOptions {
  std::string name;
};

// Somebody who stops an agent at once is not held up by a swap, and not left without a word of what it means for it.
Result<std::vector<policy::Misfit>> misfits_of_change(const Manifest& before, const Manifest& after) {
  const auto old = find_misfits(before);
  if (!old) return fail(old.error());
  auto misfits = find_misfits(after);
  if (misfits)
    std::erase_if(*misfits, [&](const auto& misfit) { return std::ranges::find(*old, misfit) != old->end(); });
  return misfits;
}

Status tell(const Context& context, const ChangeOptions& options, const std::string& change, const Egress& egress,
            const std::optional<Json>& applied, const std::vector<policy::Misfit>& misfits) {
  for (const policy::Misfit& misfit : misfits) warn_of(misfit);
  if (context.out.json()) {
    Json record = {{"workspace", options.name},
                   {"change", change},
                   {"rules", options.rules},
                   {"running", applied.has_value()},
                   {"egress", workspace::egress_record(egress)}};
    if (applied) record.update(*applied);
    for (const policy::Misfit& misfit : misfits) record["warnings"].push_back(misfit.message);
    return context.out.record(record);
  }
  std::string effect = "recorded; it does not run";
  if (applied) {
    const auto killed = applied->value("killed", 0U);
    effect = fmt::format("in effect as version {}", applied->value("version", 0U));
    if (killed != 0) effect += fmt::format("; {} flow{} ended", killed, killed == 1 ? "" : "s");
  }
  return context.out.text(fmt::format("{}: {} {}: {}\n", options.name, change, fmt::join(options.rules, " "), effect));
}

template <typename Change>
Result<int> change_policy(const Context& context, const ChangeOptions& options, const std::string& word,
                          const Change& change) {
  const auto store = context.open_store();
  if (!store) return fail(store.error());
  const auto lock = store->lock_changes(options.name);
  if (!lock) return fail(lock.error());
  const auto before = store->load_manifest(options.name);
  if (!before) return fail(before.error());
  auto egress = change(before->egress);
  if (!egress) return fail(egress.error());
  if (Status checked = check_egress(*egress); !checked) return fail(checked.error());

  Manifest after = *before;
  after.egress = std::move(*egress);
  const auto misfits = misfits_of_change(*before, after);
  if (!misfits) return fail(misfits.error());
  if (Status written = store->replace_manifest(after); !written) return fail(written.error());
  const auto applied = bring_into_effect(*store, *before, supervisor::apply_policy);
  if (!applied) return fail(applied.error());
  if (Status told = tell(context, options, word, after.egress, *applied, *misfits); !told) return fail(told.error());
  return 0;
}

template <List which>
Result<int> add_rules(const Context& context, const ChangeOptions& options) {
  const std::string word(policy::to_string(which));
  return change_policy(context, options, word, [&](const Egress& egress) {
    return with_rules(egress, which, options.rules, "egress " + word);
  });
}

Result<int> remove_rules(const Context& context, const ChangeOptions& options) {
  return change_policy(context, options, "remove",
                       [&](const Egress& egress) { return without_rules(egress, options.rules); });
}

Result<int> list_rules(const Context& context, const ListOptions& options) {
  const auto store = context.open_store();
  if (!store) return fail(store.error());
  const auto manifest = store->load_manifest(options.name);
  if (!manifest) return fail(manifest.error());
  const auto text = policy_text(manifest->egress);
  if (!text) return fail(text.error());
  const auto policy = policy::Policy::compile(*text);
  if (!policy) return fail(policy.error());
  Table table({"LIST", "RULE", "WRITTEN"});
  for (const List list : {List::deny, List::passthrough, List::allow}) {
    for (const policy::RulePtr& rule : policy->list(list).rules()) {
      table.add({std::string(policy::to_string(list)), rule->text, rule->place.empty() ? "-" : rule->place});
    }
  }
  const Status told =
      context.out.json()
          ? context.out.record({{"workspace", options.name}, {"egress", workspace::to_json(manifest->egress)}})
          : context.out.text(table.render(context.out));
  if (!told) return fail(told.error());
  return 0;
}

void add_change(Commands& commands, CLI::App& parent, const std::string& word, const std::string& summary,
                Result<int> (*run)(const Context&, const ChangeOptions&)) {
  auto [command, options] = commands.add_below<ChangeOptions>(parent, word, summary, run);
  require_name(*command, options->name);
  command->add_option("RULE", options->rules, "HOST, .SUFFIX, *.PARENT, ADDRESS or CIDR, each with optional :PORT")
      ->required()
      ->type_name("");
}

}  // namespace

void add_egress_changes(Commands& commands, CLI::App& parent) {
  add_change(commands, parent, "allow", "Allow more, at once where the workspace runs", add_rules<List::allow>);
  add_change(commands, parent, "deny", "Deny more; flows that are denied now end at once", add_rules<List::deny>);
  add_change(commands, parent, "passthrough", "Allow more, and never intercept it", add_rules<List::passthrough>);
  add_change(commands, parent, "remove", "Take rules out of every list they are in", remove_rules);
  auto [command, options] = commands.add_below<ListOptions>(parent, "list", "Show the rules", list_rules);
  require_name(*command, options->name);
}

}  // namespace microagent::cli
