// microagent quarantine

#include <fmt/format.h>

#include "cli/command.h"
#include "supervisor/client.h"
#include "workspace/records.h"

namespace microagent::cli {
namespace {

struct QuarantineOptions {
  std::string name;
};

Result<int> quarantine(const Context& context, const QuarantineOptions& options) {
  const auto store = context.open_store();
  if (!store) return fail(store.error());
  const auto manifest = store->load_manifest(options.name);
  if (!manifest) return fail(manifest.error());
  if (const auto settled = store->load_settled_runtime(options.name); !settled) return fail(settled.error());
  const auto runtime = supervisor::quarantine(*store, options.name);
  if (!runtime) return fail(runtime.error());
  const Status told =
      context.out.json()
          ? context.out.record(workspace::status_record(*manifest, *runtime))
          : context.out.text(fmt::format("{} is {}: severed from everything, frozen, its disk and records kept\n",
                                         options.name, to_string(runtime->state)));
  if (!told) return fail(told.error());
  return 0;
}

}  // namespace

void add_quarantine(Commands& commands) {
  auto [command, options] = commands.add<QuarantineOptions>(
      "quarantine", "Sever a running workspace from everything and freeze it", quarantine);
  require_name(*command, options->name);
  command->footer("Afterwards it can only be looked at, stopped, killed and deleted.");
}

}  // namespace microagent::cli
