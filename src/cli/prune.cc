// microagent prune

#include <fmt/format.h>
#include <unistd.h>

#include <algorithm>
#include <chrono>
#include <iostream>

#include "audit/filter.h"
#include "base/disk_usage.h"
#include "cli/bytes_text.h"
#include "cli/command.h"
#include "cli/describe.h"
#include "cli/furnish.h"
#include "cli/table.h"

namespace microagent::cli {
namespace {

namespace fs = std::filesystem;
using Json = nlohmann::json;
using workspace::Runtime;
using workspace::State;
using workspace::Store;

struct PruneOptions {
  bool all = false, images = false, dry_run = false, yes = false;
  std::optional<std::string> before;
};

// Something that can go: a workspace, what a command that was killed has left half made, or an image that nobody uses.
struct Remains {
  enum class Kind : std::uint8_t { workspace, leftover, image };
  Kind kind = Kind::workspace;
  std::string name;  // of a workspace or an image
  fs::path path;
  std::string state, since, detail;
  std::uint64_t bytes = 0;
};

bool has_ended(State state) { return state == State::stopped || state == State::halted || state == State::failed; }

// What a `run` that was killed before it could boot has left: it makes up such a name, and boots at once.
bool is_of_killed_run(const fs::path& directory) {
  constexpr std::string_view kPrefix = "run-";
  constexpr std::chrono::minutes kLongestStart{5};  // from its record to its boot
  const std::string name = directory.filename().string();
  const std::string_view digits = std::string_view(name).substr(std::min(kPrefix.size(), name.size()));
  const bool made_up = name.starts_with(kPrefix) && digits.size() == 12 &&
                       digits.find_first_not_of("0123456789abcdef") == std::string_view::npos;
  std::error_code error;
  const auto changed = fs::last_write_time(directory, error);
  return made_up && !error && fs::file_time_type::clock::now() - changed >= kLongestStart;
}

// Nothing where the workspace is to stay. One whose files cannot be read stays: somebody has to look at it.
std::optional<Remains> judge(const Store& store, const std::string& name, const PruneOptions& options,
                             const std::string& before) {
  const auto manifest = store.load_manifest(name);
  const auto runtime = store.load_settled_runtime(name);
  const auto supervised = store.supervised(name);
  if (!manifest || !runtime || !supervised || *supervised) return std::nullopt;
  const fs::path path = store.directory(name);
  const bool never_started = runtime->state == State::prepared && (options.all || is_of_killed_run(path));
  if (!has_ended(runtime->state) && !never_started) return std::nullopt;
  const std::string& since = runtime->observed_at.empty() ? manifest->created_at : runtime->observed_at;
  if (!before.empty() && since >= before) return std::nullopt;
  return Remains{.name = name,
                 .path = path,
                 .state = std::string(to_string(runtime->state)),
                 .since = since,
                 .detail = runtime->detail,
                 .bytes = disk_usage(path)};
}

Status find_images(std::vector<Remains>& found) {
  const auto cache = open_images();
  if (!cache) return fail(cache.error());
  const auto unused = cache->unused();
  if (!unused) return fail(unused.error());
  for (const auto& image : *unused) {
    found.push_back({.kind = Remains::Kind::image, .name = image.name, .state = "unused", .bytes = image.bytes});
  }
  return {};
}

Result<std::vector<Remains>> find(const Store& store, const PruneOptions& options, const std::string& before) {
  const auto names = store.list();
  if (!names) return fail(names.error());
  std::vector<Remains> found;
  for (const std::string& name : *names) {
    if (auto remains = judge(store, name, options, before)) found.push_back(std::move(*remains));
  }
  const auto leftovers = store.leftovers();
  if (!leftovers) return fail(leftovers.error());
  for (const fs::path& path : *leftovers) {
    found.push_back({.kind = Remains::Kind::leftover,
                     .path = path,
                     .state = "leftover",
                     .detail = path.string(),
                     .bytes = disk_usage(path)});
  }
  if (!options.images) return found;
  if (Status images = find_images(found); !images) return fail(images.error());
  return found;
}

std::uint64_t total(const std::vector<Remains>& all) {
  std::uint64_t bytes = 0;
  for (const Remains& remains : all) bytes += remains.bytes;
  return bytes;
}

std::string table_of(const Context& context, const std::vector<Remains>& all) {
  Table table({"NAME", "STATE", "SINCE", "SIZE", "DETAIL"});
  for (const Remains& remains : all) {
    table.add({remains.name.empty() ? "-" : remains.name, Cell(remains.state, colour_of_state(remains.state)),
               remains.since.empty() ? "-" : short_time(remains.since), bytes_text(remains.bytes), remains.detail});
  }
  return table.render(context.out);
}

// Asked on standard error, so that standard output stays what it is.
Result<bool> may_remove(const Context& context, const PruneOptions& options, const std::vector<Remains>& all) {
  if (options.yes) return true;
  if (context.out.json() || ::isatty(STDIN_FILENO) != 1) {
    return fail(ErrorKind::usage, "nobody is there to be asked whether this may go",
                "look with --dry-run, then give --yes");
  }
  say(table_of(context, all) + "remove all this for good? [y/N]");
  std::string answer;
  std::getline(std::cin, answer);
  return answer == "y" || answer == "Y" || answer == "yes";
}

Status remove_image(const Remains& image) {
  const auto cache = open_images();
  if (!cache) return fail(cache.error());
  const auto removed = cache->remove({image.name, image.bytes});
  if (!removed) return fail(removed.error());
  return *removed == image::Cache::Removal::done ? Status() : Status(fail(ErrorKind::conflict, "the image is used"));
}

// The workspace that was shown, and no other that has taken its name or begun another life meanwhile.
Status remove_workspace(const Store& store, const Remains& shown, const PruneOptions& options,
                        const std::string& before) {
  return store.remove(shown.name, [&] {
    const auto now = judge(store, shown.name, options, before);
    return now && now->since == shown.since && now->state == shown.state;
  });
}

Status remove(const Store& store, const Remains& remains, const PruneOptions& options, const std::string& before) {
  switch (remains.kind) {
    case Remains::Kind::workspace: return remove_workspace(store, remains, options, before);
    case Remains::Kind::leftover: return store.remove_leftover(remains.path);
    case Remains::Kind::image: return remove_image(remains);
  }
  return {};
}

// One that was started or used meanwhile, or is gone already, is left alone.
Result<std::vector<Remains>> remove(const Store& store, const std::vector<Remains>& all, const PruneOptions& options,
                                    const std::string& before) {
  std::vector<Remains> removed;
  for (const Remains& remains : all) {
    const Status gone = remove(store, remains, options, before);
    if (gone) removed.push_back(remains);
    else if (gone.error().kind != ErrorKind::conflict && gone.error().kind != ErrorKind::not_found) {
      return fail(gone.error());
    }
  }
  return removed;
}

Json record_of(const PruneOptions& options, const std::vector<Remains>& all) {
  Json workspaces = Json::array(), leftovers = Json::array(), images = Json::array();
  for (const Remains& remains : all) {
    Json entry = {{"bytes", remains.bytes}};
    switch (remains.kind) {
      case Remains::Kind::workspace:
        entry.update({{"workspace", remains.name}, {"state", remains.state}});
        workspaces.push_back(std::move(entry));
        break;
      case Remains::Kind::leftover:
        entry["path"] = remains.path.string();
        leftovers.push_back(std::move(entry));
        break;
      case Remains::Kind::image:
        entry["digest"] = "sha256:" + remains.name;
        images.push_back(std::move(entry));
        break;
    }
  }
  Json record = {{"dryRun", options.dry_run}, {"bytes", total(all)}};
  record["workspaces"] = std::move(workspaces);
  record["leftovers"] = std::move(leftovers);
  if (options.images) record["images"] = std::move(images);
  return record;
}

Status tell(const Context& context, const PruneOptions& options, const std::vector<Remains>& all) {
  if (context.out.json()) {
    return context.out.record(record_of(options, all));
  }
  if (all.empty()) return context.out.text("there is nothing to remove\n");
  return context.out.text(fmt::format("{}{} {}\n", table_of(context, all),
                                      options.dry_run ? "this would free" : "removed; this frees",
                                      bytes_text(total(all))));
}

Result<int> prune(const Context& context, const PruneOptions& options) {
  std::string before;
  if (options.before) {
    auto time = audit::parse_since(*options.before, std::chrono::system_clock::now());
    if (!time) return fail(with_context(time.error(), "--before"));
    before = std::move(*time);
  }
  const auto store = context.open_store();
  if (!store) return fail(store.error());
  auto found = find(*store, options, before);
  if (!found) return fail(found.error());
  if (!options.dry_run && !found->empty()) {
    const auto may = may_remove(context, options, *found);
    if (!may) return fail(may.error());
    if (!*may) found->clear();
    found = remove(*store, *found, options, before);
    if (!found) return fail(found.error());
  }
  if (Status told = tell(context, options, *found); !told) return fail(told.error());
  return 0;
}

}  // namespace

void add_prune(Commands& commands) {
  auto [command, options] =
      commands.add<PruneOptions>("prune", "Remove the workspaces that have ended, and what was left half made", prune);
  command->add_flag("--all", options->all, "those too that were never started");
  command->add_flag("--images", options->images, "images that no workspace is made of, too");
  command->add_option("--before", options->before, "only what ended before a time, a date, or a time ago such as 7d")
      ->type_name("TIME");
  command->add_flag("--dry-run", options->dry_run, "show what would be removed, and remove nothing");
  command->add_flag("-y,--yes", options->yes, "do not ask; needed where nobody can be asked");
  command->footer(
      "Workspaces that run, that are quarantined, that `supervise` attends to, and those whose files cannot be read "
      "stay.\n"
      "What a `run` that was killed before it booted has left goes after five minutes. On a terminal it shows what "
      "would\n"
      "go and asks.");
}

}  // namespace microagent::cli
