// microagent logs

#include <utility>

#include "cli/command.h"
#include "cli/log_follower.h"

namespace microagent::cli {
namespace {

struct LogsOptions {
  std::string name;
  bool follow = false, supervisor = false;
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

std::vector<std::string> split_lines(std::string_view text) {
  std::vector<std::string> lines;
  while (!text.empty()) {
    const std::size_t end = text.find('\n');
    std::string line(text.substr(0, end));
    if (line.ends_with('\r')) line.pop_back();
    lines.push_back(std::move(line));
    text.remove_prefix(end == std::string_view::npos ? text.size() : end + 1);
  }
  return lines;
}

Status tell_program(const Context& context, const LogsOptions& options, const std::filesystem::path& path) {
  std::string text;
  const Status read = read_log(path, [&](std::string_view part) {
    text.append(part);
    return Status{};
  });
  if (!read) return read;
  return context.out.record({{"workspace", options.name},
                             {"source", options.supervisor ? "supervisor" : "console"},
                             {"lines", split_lines(text)}});
}

Status tell_people(const Context& context, const LogsOptions& options, const workspace::Store& store,
                   const std::filesystem::path& path) {
  TerminalFilter filter;
  const bool terminal = context.out.standard_output_is_terminal();
  const auto sink = [&](std::string_view part) { return context.out.text(terminal ? filter(part) : part); };
  if (!options.follow) return read_log(path, sink);
  return follow_log(path, sink, [&]() -> Result<bool> {
    const auto locked = store.locked(options.name);
    if (!locked) return fail(locked.error());
    return !*locked;
  });
}

Result<int> logs(const Context& context, const LogsOptions& options) {
  if (options.follow && context.out.json()) {
    return fail(ErrorKind::usage, "--follow: a growing log is no JSON record", "choose one of --follow and --json");
  }
  const auto store = context.open_store();
  if (!store) return fail(store.error());
  if (const auto manifest = store->load_manifest(options.name); !manifest) return fail(manifest.error());
  const auto path = store->directory(options.name) / (options.supervisor ? "supervisor.log" : "console.log");
  const Status told =
      context.out.json() ? tell_program(context, options, path) : tell_people(context, options, *store, path);
  if (!told) return fail(told.error());
  return 0;
}

}  // namespace

void add_logs(Commands& commands) {
  auto [command, options] = commands.add<LogsOptions>("logs", "Show what the guest wrote to its console", logs);
  require_name(*command, options->name);
  command->add_flag("--follow", options->follow, "go on until the workspace ends");
  command->add_flag("--supervisor", options->supervisor,
                    "the host's side instead: supervisor, netd, mediator and QEMU");
}

}  // namespace microagent::cli
