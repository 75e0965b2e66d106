// microagent volume

#include <fmt/format.h>
#include <fmt/ranges.h>

#include "cli/command.h"
#include "cli/table.h"
#include "image/disk.h"
#include "image/ext4_writer.h"
#include "workspace/declaration.h"
#include "workspace/rules.h"
#include "workspace/volumes.h"

namespace microagent::cli {
namespace {

using workspace::VolumeRecord;
using Json = nlohmann::json;

struct ListOptions {};
struct CreateOptions {
  std::string name;
  std::optional<std::string> size;
};
struct RemoveOptions {
  std::string name;
};

Json record_of(const VolumeRecord& volume) {
  Json record = {
      {"name", volume.name}, {"bytes", volume.size}, {"usedBytes", volume.used}, {"workspaces", volume.declared_by}};
  if (!volume.attached_to.empty()) record["attachedTo"] = volume.attached_to;
  return record;
}

// Bytes.
Result<std::uint64_t> volume_size(const std::optional<std::string>& text) {
  constexpr std::uint64_t kMiB = 1024 * 1024;
  if (!text) return image::kDefaultDiskMib * kMiB;
  const auto size = workspace::parse_disk(*text);
  if (!size) return fail(with_context(size.error(), "--size"));
  if (*size >= workspace::kMinDiskMib && *size <= workspace::kMaxDiskMib) return *size * kMiB;
  return fail(ErrorKind::usage, fmt::format("--size: {} MiB is out of bounds", *size),
              fmt::format("give {} MiB to {} MiB, such as 20GiB", workspace::kMinDiskMib, workspace::kMaxDiskMib));
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

Result<int> create_volume(const Context& context, const CreateOptions& options) {
  auto size = volume_size(options.size);
  if (!size) return fail(size.error());
  if (!workspace::is_volume_name(options.name)) {
    return fail(ErrorKind::usage, fmt::format("\"{}\" is no name for a volume", printable(options.name)),
                "use lower-case letters, digits and -");
  }
  const auto store = context.open_store();
  if (!store) return fail(store.error());
  const auto make = [&](const std::filesystem::path& file) { return image::make_ext4(file, *size, 0); };
  const auto made = workspace::ensure_volume(store->root(), options.name, make);
  if (!made) return fail(made.error());
  if (!*made) {
    return fail(ErrorKind::conflict, fmt::format("there is a volume \"{}\" already", options.name),
                fmt::format("choose another name, or remove it: microagent volume rm {}", options.name));
  }
  const Status told = context.out.json()
                          ? context.out.record({{"volume", options.name}, {"bytes", *size}})
                          : context.out.text(fmt::format("volume {} is created, {}\n", options.name, mib(*size)));
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
  auto [command, options] =
      commands.add<ListOptions>("volume", "Show the named volumes, make or remove one", list_volumes);
  auto [list, list_options] = commands.add_below<ListOptions>(*command, "ls", "Show the named volumes", list_volumes);
  list->alias("list");
  auto [create, create_options] = commands.add_below<CreateOptions>(
      *command, "create", "Make a volume before a workspace declares it", create_volume);
  create->add_option("NAME", create_options->name, "the volume")->required()->type_name("");
  create->add_option("--size", create_options->size, "how much it can hold: 10GiB (default), 20480 (MiB)")
      ->type_name("SIZE");
  create->footer(
      "It is empty, and takes room on the host only as it is filled. A workspace that declares a volume which is not\n"
      "there makes one of the usual size.");
  auto [remove, remove_options] =
      commands.add_below<RemoveOptions>(*command, "rm", "Remove a volume and all that is in it", remove_volume);
  remove->add_option("NAME", remove_options->name, "the volume")->required()->type_name("");
  remove->footer("A volume that a workspace declares is kept; delete the workspace first.");
}

}  // namespace microagent::cli
