// microagent wait

#include "cli/wait.h"

#include <fmt/format.h>

#include "supervisor/client.h"
#include "workspace/records.h"

namespace microagent::cli {
namespace {

using workspace::Runtime;
using workspace::State;

constexpr int kExitFailed = 1;

struct WaitOptions {
  std::string name;
  std::optional<unsigned> timeout;
};

std::string describe(const std::string& name, const Runtime& runtime) {
  std::string text = fmt::format("{} is {}", name, to_string(runtime.state));
  if (!runtime.detail.empty()) text += ": " + printable(runtime.detail);
  if (runtime.exit_code) text += fmt::format("; its entrypoint ended with code {}", *runtime.exit_code);
  return text + "\n";
}

Result<int> wait(const Context& context, const WaitOptions& options) {
  const auto store = context.open_store();
  if (!store) return fail(store.error());
  const auto manifest = store->load_manifest(options.name);
  if (!manifest) return fail(manifest.error());
  return wait_for_end(context, *store, *manifest, options.timeout);
}

}  // namespace

Result<int> wait_for_end(const Context& context, const workspace::Store& store, const workspace::Manifest& manifest,
                         std::optional<unsigned> seconds) {
  const auto runtime = supervisor::wait(store, manifest.name, std::chrono::seconds(seconds.value_or(kMaxWaitSeconds)));
  if (!runtime) return fail(runtime.error());
  const Status told = context.out.json() ? context.out.record(workspace::status_record(manifest, *runtime))
                                         : context.out.text(describe(manifest.name, *runtime));
  if (!told) return fail(told.error());
  return runtime->state == State::failed || runtime->state == State::quarantined ? kExitFailed : 0;
}

void add_wait(Commands& commands) {
  auto [command, options] =
      commands.add<WaitOptions>("wait", "Wait until a workspace has ended, or its entrypoint has", wait);
  require_name(*command, options->name);
  command->add_option("--timeout", options->timeout, "seconds to wait at most; exit code 75 then")
      ->check(CLI::Range(1U, kMaxWaitSeconds));
  command->footer(
      "Exit code 0 when it is stopped or prepared, or runs with its entrypoint ended; 1 when it has failed or\n"
      "is quarantined. The entrypoint's own code is told, and stands as exitCode in the record.");
}

}  // namespace microagent::cli
