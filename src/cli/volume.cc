// microagent volume

#include <fmt/format.h>
#include <fmt/ranges.h>

#include "cli/command.h"
#include "cli/table.h"
#include "workspace/volumes.h"

namespace microagent::cli {
namespace {

using workspace::VolumeRecord;
using Json = nlohmann::json;

struct ListOptions {};
struct RemoveOptions {
  std::string name;
};

Json record_of(const VolumeRecord& volume) {
  Json record = {
      {"name", volume.name}, {"bytes", volume.size}, {"usedBytes", volume.used}, {"workspaces", volume.declared_by}};
  if (!volume.attached_to.empty()) record["attachedTo"] = volume.attached_to;
  return record;
}

std::string mib(std::uint64_t bytes) { return fmt::format("{} MiB", (bytes + 1024 * 1024 - 1) / (1024 * 1024)); }

Result<int> list_volumes(const Context& context, const ListOptions&) {
  const auto store = context.open_store();
  if (!store) return fail(store.error());
  const auto volumes = workspace::list_volumes(*store);
  if (!volumes) return fail(volumes.error());
  Json list = Json::array();
  Table table({"NAME", "SIZE", "USED", "ATTACHED TO", "WORKSPACES"});
  for (const VolumeRecord& volume : *volumes) {
    list.push_back(record_of(volume));
    table.add({volume.name, mib(volume.size), mib(volume.used), volume.attached_to.empty() ? "-" : volume.attached_to,
               volume.declared_by.empty() ? "-" : fmt::format("{}", fmt::join(volume.declared_by, ", "))});
  }
  const Status told = context.out.json() ? context.out.record({{"volumes", std::move(list)}})
                                         : context.out.text(table.render(context.out));
  if (!told) return fail(told.error());
  return 0;
}

Result<int> remove_volume(const Context& context, const RemoveOptions& options) {
  const auto store = context.open_store();
  if (!store) return fail(store.error());
  if (Status removed = workspace::remove_volume(*store, options.name); !removed) return fail(removed.error());
  const Status told = context.out.json() ? context.out.record({{"volume", options.name}, {"deleted", true}})
                                         : context.out.text(fmt::format("volume {} is deleted\n", options.name));
  if (!told) return fail(told.error());
  return 0;
}

}  // namespace

void add_volume(Commands& commands) {
  auto [command, options] = commands.add<ListOptions>("volume", "Show the named volumes, or remove one", list_volumes);
  auto [list, list_options] = commands.add_below<ListOptions>(*command, "ls", "Show the named volumes", list_volumes);
  list->alias("list");
  auto [remove, remove_options] =
      commands.add_below<RemoveOptions>(*command, "rm", "Remove a volume and all that is in it", remove_volume);
  remove->add_option("NAME", remove_options->name, "the volume")->required()->type_name("");
  remove->footer("A volume that a workspace declares is kept; delete the workspace first.");
}

}  // namespace microagent::cli
