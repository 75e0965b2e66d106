// microagent logs

#include <cstdint>
#include <optional>
#include <utility>

#include "cli/command.h"
#include "cli/log_follower.h"

namespace microagent::cli {
namespace {

struct LogsOptions {
  std::string name;
  bool follow = false, supervisor = false;
  std::optional<std::uint64_t> tail;
};

// Lets a terminal see no control characters but line ends and tabs: the guest writes its console.
class TerminalFilter {
 public:
  std::string operator()(std::string_view text) {
    std::string shown, whole = std::exchange(pending_, {}).append(text);
    // The first half of a character that may prove to be a control.
    if (whole.ends_with('\xc2')) {
      pending_ = "\xc2";
      whole.pop_back();
    }
    for (std::size_t start = 0; start < whole.size();) {
      const std::size_t kept = whole.find_first_of("\n\t\r", start);
      shown += printable(std::string_view(whole).substr(start, kept - start));
      if (kept == std::string::npos) break;
      if (whole[kept] != '\r') shown += whole[kept];
      start = kept + 1;
    }
    return shown;
  }

 private:
  std::string pending_;
};

const char* source_of(const LogsOptions& options) { return options.supervisor ? "supervisor" : "console"; }

// The last lines alone, where only they are wanted.
Result<LineSkipper> skipper_for(const LogsOptions& options, const std::filesystem::path& path) {
  if (!options.tail) return LineSkipper(0);
  const auto lines = lines_before_last(path, *options.tail);
  if (!lines) return fail(lines.error());
  return LineSkipper(*lines);
}

Status tell_program(const Context& context, const LogsOptions& options, const std::filesystem::path& path,
                    LineSkipper& skip) {
  std::vector<std::string> lines;
  LineSplitter splitter([&](std::string_view line) {
    lines.emplace_back(line);
    return Status{};
  });
  const auto sink = [&](std::string_view part) { return splitter(skip(part)); };
  if (Status read = read_log(path, sink); !read) return read;
  if (Status read = splitter.finish(); !read) return read;
  return context.out.record({{"workspace", options.name}, {"source", source_of(options)}, {"lines", lines}});
}

// One object a line, as it comes.
Status follow_for_program(const Context& context, const LogsOptions& options, const std::filesystem::path& path,
                          LineSkipper& skip, GrowthWatch& watch) {
  LineSplitter splitter([&](std::string_view line) {
    return context.out.line({{"workspace", options.name}, {"source", source_of(options)}, {"line", line}});
  });
  const auto sink = [&](std::string_view part) { return splitter(skip(part)); };
  if (Status followed = follow_log(path, sink, watch); !followed) return followed;
  return splitter.finish();
}

Status tell(const Context& context, const LogsOptions& options, const workspace::Store& store,
            const std::filesystem::path& path, LineSkipper& skip) {
  TerminalFilter filter;
  const bool terminal = context.out.standard_output_is_terminal();
  const auto sink = [&](std::string_view part) {
    const std::string_view rest = skip(part);
    return context.out.text(terminal ? filter(rest) : rest);
  };
  if (!options.follow) return read_log(path, sink);
  auto watch = WorkspaceWatch::open(store, options.name);
  if (!watch) return fail(watch.error());
  if (context.out.json()) return follow_for_program(context, options, path, skip, *watch);
  return follow_log(path, sink, *watch);
}

Result<int> logs(const Context& context, const LogsOptions& options) {
  const auto store = context.open_store();
  if (!store) return fail(store.error());
  if (const auto manifest = store->load_manifest(options.name); !manifest) return fail(manifest.error());
  const auto path = store->directory(options.name) / (options.supervisor ? "supervisor.log" : "console.log");
  const bool record = context.out.json() && !options.follow;
  auto skip = skipper_for(options, path);
  if (!skip) return fail(skip.error());
  const Status told =
      record ? tell_program(context, options, path, *skip) : tell(context, options, *store, path, *skip);
  if (!told) return fail(told.error());
  return 0;
}

}  // namespace

void add_logs(Commands& commands) {
  auto [command, options] = commands.add<LogsOptions>("logs", "Show what the guest wrote to its console", logs);
  require_name(*command, options->name);
  command->add_flag("-f,--follow", options->follow, "go on until the workspace ends; with --json one object a line");
  command->add_option("--tail", options->tail, "only so many of the last lines")->type_name("LINES");
  command->add_flag("--supervisor", options->supervisor,
                    "the host's side instead: supervisor, netd, mediator and QEMU");
  command->footer(
      "Each life of the workspace follows the one before, behind a line that says when it begins. The last\n"
      "16 to 32 MiB are kept.");
}

}  // namespace microagent::cli
