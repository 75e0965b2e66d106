// microagent result

#include <fmt/format.h>

#include "cli/command.h"
#include "cli/result_record.h"
#include "workspace/files.h"

namespace microagent::cli {
namespace {

using workspace::Runtime;

constexpr std::size_t kMaxResult = 16 * 1024 * 1024;

struct ResultOptions {
  std::string name;
};

tl::unexpected<Error> no_result(const std::string& name, const Runtime& runtime) {
  std::string message = fmt::format("workspace {} has left no result", name);
  if (runtime.exit_code) message += fmt::format("; its entrypoint ended with code {}", *runtime.exit_code);
  const auto signal = runtime.readiness.find("resultReady");
  if (signal != runtime.readiness.end() && !signal->second.error.empty()) message += ": " + signal->second.error;
  return fail(ErrorKind::not_found, std::move(message), "a guest leaves it in /run/microagent/result");
}

Status tell(const Context& context, const std::string& name, const Runtime& runtime, const std::filesystem::path& path,
            const std::string& content) {
  if (!context.out.json()) return context.out.text(content);
  nlohmann::json record = result_record(content);
  record["workspace"] = name;
  record["resultPath"] = path.string();
  record["state"] = to_string(runtime.state);
  if (runtime.exit_code) record["exitCode"] = *runtime.exit_code;
  return context.out.record(std::move(record));
}

Result<int> result(const Context& context, const ResultOptions& options) {
  const auto store = context.open_store();
  if (!store) return fail(store.error());
  if (const auto manifest = store->load_manifest(options.name); !manifest) return fail(manifest.error());
  const auto runtime = store->load_settled_runtime(options.name);
  if (!runtime) return fail(runtime.error());
  const auto path = store->directory(options.name) / workspace::kResultFile;
  const auto content = workspace::read_file(path, kMaxResult);
  if (!content && content.error().kind == ErrorKind::not_found) return no_result(options.name, *runtime);
  if (!content) return fail(content.error());
  if (Status told = tell(context, options.name, *runtime, path, *content); !told) return fail(told.error());
  return 0;
}

}  // namespace

void add_result(Commands& commands) {
  auto [command, options] =
      commands.add<ResultOptions>("result", "Show what a workspace's guest has left as its result", result);
  require_name(*command, options->name);
  command->footer(
      "A guest writes its result to /run/microagent/result, at most 16 MiB. The host keeps it as soon as it is there,\n"
      "and it can be read after the workspace's end, until its next start. With --json it is a value where it is JSON\n"
      "itself, else a string.");
}

}  // namespace microagent::cli
