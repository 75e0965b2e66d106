// microagent exec

#include <fmt/format.h>
#include <unistd.h>

#include <cerrno>

#include "cli/command.h"
#include "cli/exec_session.h"
#include "supervisor/client.h"

namespace microagent::cli {
namespace {

using wire::FrameType;

constexpr std::size_t kMaxCaptured = 16 * 1024 * 1024;  // of each stream, in a JSON record

struct ExecOptions {
  std::string name, workdir;
  std::vector<std::string> env;
};

Status check(const Context& context, const ExecOptions& options) {
  if (context.words.empty()) {
    return fail(ErrorKind::usage, "there is no command to run",
                fmt::format("write it behind --: microagent exec {} -- ls -l", options.name));
  }
  for (const std::string& variable : options.env) {
    if (variable.find('=') != std::string::npos && variable[0] != '=') continue;
    return fail(ErrorKind::usage, "--env: the variable has no name or no value", "write NAME=VALUE");
  }
  if (!options.workdir.empty() && options.workdir[0] != '/') {
    return fail(ErrorKind::usage, fmt::format("--workdir {}: the path is not absolute", options.workdir),
                "begin it with a slash");
  }
  return {};
}

Result<Fd> open_stream(const Context& context, const std::string& name) {
  const auto store = context.open_store();
  if (!store) return fail(store.error());
  if (const auto manifest = store->load_manifest(name); !manifest) return fail(manifest.error());
  // A dead supervisor is noticed here.
  if (const auto runtime = store->load_settled_runtime(name); !runtime) return fail(runtime.error());
  return supervisor::open_exec(*store, name);
}

Status pass_on(FrameType stream, ByteView bytes) {
  const int fd = stream == FrameType::output ? STDOUT_FILENO : STDERR_FILENO;
  while (!bytes.empty()) {
    const ssize_t written = ::write(fd, bytes.data(), bytes.size());
    if (written < 0 && errno == EINTR) continue;
    if (written < 0) return fail_errno(errno, "cannot write the command's output");
    bytes = bytes.subspan(static_cast<std::size_t>(written));
  }
  return {};
}

struct Captured {
  std::string output, error_output;

  Status take(FrameType stream, ByteView bytes) {
    std::string& text = stream == FrameType::output ? output : error_output;
    if (text.size() + bytes.size() > kMaxCaptured) {
      return fail(ErrorKind::resource_exhausted, "the command writes more than 16 MiB, too much for one JSON record",
                  "run it without --json");
    }
    text.append(bytes.begin(), bytes.end());
    return {};
  }
};

Result<int> run_for_programs(const Context& context, const std::string& name, Fd stream,
                             const wire::ExecRequest& request) {
  Captured captured;
  const auto end = run_exec(std::move(stream), request, STDIN_FILENO,
                            [&](FrameType type, ByteView bytes) { return captured.take(type, bytes); });
  if (!end) return fail(end.error());
  nlohmann::json record = {
      {"workspace", name}, {"exitCode", end->code}, {"stdout", captured.output}, {"stderr", captured.error_output}};
  if (!end->failure.empty()) record["failure"] = end->failure;
  if (Status told = context.out.record(std::move(record)); !told) return fail(told.error());
  return end->code;
}

Result<int> run_for_people(Fd stream, const wire::ExecRequest& request) {
  const auto end = run_exec(std::move(stream), request, STDIN_FILENO, pass_on);
  if (!end) return fail(end.error());
  if (!end->failure.empty()) say("microagent: " + printable(end->failure));
  return end->code;
}

Result<int> exec(const Context& context, const ExecOptions& options) {
  if (Status valid = check(context, options); !valid) return fail(valid.error());
  auto stream = open_stream(context, options.name);
  if (!stream) return fail(stream.error());
  wire::ExecRequest request;
  request.argv = context.words;
  request.env = options.env;
  request.workdir = options.workdir;
  if (context.out.json()) return run_for_programs(context, options.name, std::move(*stream), request);
  return run_for_people(std::move(*stream), request);
}

}  // namespace

void add_exec(Commands& commands) {
  auto [command, options] = commands.add<ExecOptions>("exec", "Run a command in a running workspace", exec);
  require_name(*command, options->name);
  add_list(*command, "-e,--env", options->env, "a variable of the command; may be repeated")->type_name("NAME=VALUE");
  command->add_option("-w,--workdir", options->workdir, "where it runs, / by default")->type_name("DIRECTORY");
  command->footer(
      "The command stands behind --: microagent exec [OPTIONS] NAME -- COMMAND [ARGUMENT...]\n\n"
      "What stands behind -- goes to the guest as it is; no shell reads it. Standard input, output and error are the\n"
      "command's, and so is the exit code: 128 and its number for a signal, 126 or 127 when it cannot be run. With\n"
      "--json its output comes in one record.\n\n"
      "Examples:\n"
      "  microagent exec web -- ip addr\n"
      "  tar c data | microagent exec web -- tar x -C /tmp");
}

}  // namespace microagent::cli
