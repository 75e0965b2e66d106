// microagent apply

#include <fmt/format.h>

#include <algorithm>

#include "cli/command.h"
#include "cli/create.h"
#include "cli/live_change.h"
#include "image/reference.h"
#include "supervisor/client.h"
#include "workspace/changes.h"

namespace microagent::cli {
namespace {

using workspace::Change;
using workspace::Effect;
using workspace::Manifest;
using workspace::Store;
using Changes = std::vector<Change>;
using Json = nlohmann::json;

struct ApplyOptions {
  std::string file;
  std::optional<std::string> name;
  bool dry_run = false;
};

bool contains(const Changes& changes, std::string_view key) {
  return std::ranges::count(changes, key, &Change::key) > 0;
}

Result<Manifest> load_before(const Store& store, const std::string& name, const std::string& file) {
  auto before = store.load_manifest(name);
  if (before || before.error().kind != ErrorKind::not_found) return before;
  return fail(ErrorKind::not_found, before.error().message, "create it with: microagent create --file " + file);
}

// The record has the image's whole name, the spec perhaps a short one.
bool is_same_image(const Manifest& before, const Manifest& after) {
  if (!before.image || !after.image) return false;
  const auto reference = image::parse_reference(after.image->reference);
  return reference && reference->name == before.image->reference;
}

// What `create` adds to what is declared: its time, and what it found in the image.
void keep_what_was_found(const Manifest& before, Manifest& after) {
  after.created_at = before.created_at;
  if (is_same_image(before, after)) after.image = before.image;
}

Status check_possible(const Changes& changes, const std::string& name) {
  const auto made = std::ranges::find(changes, Effect::never, &Change::effect);
  if (made == changes.end()) return {};
  return fail(ErrorKind::conflict, fmt::format("{}: {} cannot change: the workspace was made with it", name, made->key),
              fmt::format("delete the workspace and create it anew, or leave {} as it is", made->key));
}

// Ports first, since they may be taken; where the policy is not accepted they go back to what they were.
Result<Json> put_into_effect(const Store& store, const Manifest& before, const Changes& changes) {
  const bool ports = contains(changes, "network.portForwards");
  if (ports) {
    if (const auto applied = supervisor::apply_ports(store, before.name); !applied) return fail(applied.error());
  }
  if (!contains(changes, "egress")) return Json::object();
  auto applied = supervisor::apply_policy(store, before.name);
  if (applied || !ports) return applied;
  if (Status restored = store.replace_manifest(before); !restored) return fail(restored.error());
  static_cast<void>(supervisor::apply_ports(store, before.name));  // what went wrong is told already
  return applied;
}

// What becomes of a change: "live" where it is in effect, "start" where nothing runs, "restart" where it has to.
std::string_view outcome(const Change& change, bool running) {
  return running ? workspace::to_string(change.effect) : "start";
}

Json record_of(const std::string& name, const Changes& changes, bool running, bool dry_run) {
  Json list = Json::array();
  for (const Change& change : changes) list.push_back({{"key", change.key}, {"effect", outcome(change, running)}});
  return {{"workspace", name}, {"running", running}, {"dryRun", dry_run}, {"changes", list}};
}

std::string text_of(const std::string& name, const Changes& changes, bool running, bool dry_run) {
  if (changes.empty()) return fmt::format("{}: nothing changes\n", name);
  std::string text;
  for (const Change& change : changes) {
    const bool live = running && change.effect == Effect::live;
    text += fmt::format("{}: {}: {}\n", name, change.key,
                        live      ? (dry_run ? "would be in effect at once" : "in effect")
                        : running ? "needs a restart"
                                  : "at its next start");
  }
  return text;
}

Result<int> apply(const Context& context, const ApplyOptions& options) {
  CreateOptions declared;
  declared.file = options.file;
  declared.name = options.name;
  auto after = plan_workspace(declared);
  if (!after) return fail(after.error());
  const auto store = context.open_store();
  if (!store) return fail(store.error());
  const auto lock = store->lock_changes(after->name);
  if (!lock && lock.error().kind != ErrorKind::not_found) return fail(lock.error());
  const auto before = load_before(*store, after->name, options.file);
  if (!before) return fail(before.error());
  keep_what_was_found(*before, *after);
  const Changes changes = workspace::find_changes(*before, *after);
  if (Status possible = check_possible(changes, before->name); !possible) return fail(possible.error());

  const auto runtime = store->load_settled_runtime(before->name);
  if (!runtime) return fail(runtime.error());
  bool running = workspace::is_alive(runtime->state) && !runtime->for_a_copy();
  if (!options.dry_run && !changes.empty()) {
    if (Status written = store->replace_manifest(*after); !written) return fail(written.error());
    const auto applied = bring_into_effect(
        *store, *before, [&](const Store& in, const std::string&) { return put_into_effect(in, *before, changes); });
    if (!applied) return fail(applied.error());
    running = applied->has_value();
  }
  const Status told = context.out.json()
                          ? context.out.record(record_of(before->name, changes, running, options.dry_run))
                          : context.out.text(text_of(before->name, changes, running, options.dry_run));
  if (!told) return fail(told.error());
  return 0;
}

}  // namespace

void add_apply(Commands& commands) {
  auto [command, options] =
      commands.add<ApplyOptions>("apply", "Make a workspace what its spec says, at once where that is possible", apply);
  command->add_option("FILE", options->file, "the spec")->required()->type_name("");
  command->add_option("--name", options->name, "the workspace; the spec's name where left out")->type_name("NAME");
  command->add_flag("--dry-run", options->dry_run, "say what would change, and change nothing");
  command->footer(
      "Published ports and the egress policy change while the workspace runs. Everything else is recorded for its "
      "next\n"
      "start, and the answer says so; what it was made with, such as its image, cannot change.");
}

}  // namespace microagent::cli
