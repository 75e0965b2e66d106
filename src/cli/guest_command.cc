#include "cli/guest_command.h"

#include <fmt/format.h>
#include <unistd.h>

#include <algorithm>
#include <cstdlib>

#include "cli/bytes_record.h"
#include "cli/descriptors.h"
#include "cli/exec_session.h"
#include "cli/terminal.h"

namespace microagent::cli {
namespace {

using wire::FrameType;

constexpr std::size_t kMaxCaptured = 16 * 1024 * 1024;  // of each stream, in a JSON record
constexpr double kMaxTimeout = 365.0 * 24 * 3600;

Status check_format(const Context& context, const GuestCommand& options) {
  if (options.no_input && (options.interactive || options.terminal)) {
    return fail(ErrorKind::usage, "--no-stdin: -i and -t are there to pass the input on", "give one or the other");
  }
  if (options.terminal && context.out.json()) {
    return fail(ErrorKind::usage, "-t: a terminal's output is no record", "leave -t or --json out");
  }
  return {};
}

}  // namespace

Status check_guest_command(const Context& context, const GuestCommand& options) {
  for (const std::string& variable : options.env) {
    if (variable.find('=') != std::string::npos && variable[0] != '=') continue;
    return fail(ErrorKind::usage, "--env: the variable has no name or no value", "write NAME=VALUE");
  }
  if (!options.workdir.empty() && options.workdir[0] != '/') {
    return fail(ErrorKind::usage, fmt::format("--workdir {}: the path is not absolute", options.workdir),
                "begin it with a slash");
  }
  return check_format(context, options);
}

namespace {

struct CaptureSink final : ExecSink {
  int descriptor(FrameType) const override { return -1; }
  Result<std::size_t> take(FrameType stream, ByteView bytes) override {
    std::string& text = stream == FrameType::output ? output : error_output;
    if (text.size() + bytes.size() > kMaxCaptured) {
      return fail(ErrorKind::resource_exhausted, "the command writes more than 16 MiB, too much for one JSON record",
                  "run it without --json");
    }
    text.append(bytes.begin(), bytes.end());
    return bytes.size();
  }

  std::string output, error_output;
};

std::string describe_timeout(const GuestCommand& options) {
  return fmt::format("the command was killed: it took longer than {:g} s (--timeout)", options.timeout.value_or(0));
}

Result<GuestCommandEnd> run_for_programs(const GuestCommand& options, Fd stream, const ExecPlan& plan) {
  CaptureSink captured;
  const auto end = run_exec(std::move(stream), plan, captured);
  if (!end) return fail(end.error());
  nlohmann::json record = {{"exitCode", end->code}};
  add_bytes(record, "stdout", captured.output);
  add_bytes(record, "stderr", captured.error_output);
  if (!end->failure.empty()) record["failure"] = end->failure;
  if (end->timed_out) record["failure"] = describe_timeout(options);
  if (end->timed_out) record["timedOut"] = true;
  return GuestCommandEnd{end->code, std::move(record)};
}

Result<GuestCommandEnd> run_for_people(const GuestCommand& options, Fd stream, const ExecPlan& plan) {
  Result<ExecEnd> end;
  {
    auto raw = RawTerminal::enter(plan.terminal);
    if (!raw) return fail(raw.error());
    OutputSink sink(STDOUT_FILENO, STDERR_FILENO);
    end = run_exec(std::move(stream), plan, sink);
  }
  if (!end) return fail(end.error());
  if (!end->failure.empty()) say("microagent: " + printable(end->failure));
  if (end->timed_out) say("microagent: " + describe_timeout(options));
  return GuestCommandEnd{end->code, {}};
}

// A guest's terminal is one of the kind that its output is shown on.
void describe_terminal(wire::ExecRequest& request) {
  request.terminal = true;
  if (const auto size = terminal_size(STDOUT_FILENO)) {
    request.rows = size->rows;
    request.columns = size->columns;
  }
  const bool told =
      std::ranges::any_of(request.env, [](const std::string& entry) { return entry.starts_with("TERM="); });
  const char* kind = std::getenv("TERM");
  if (!told && kind != nullptr) request.env.push_back(fmt::format("TERM={}", kind));
}

// A terminal's keys are the shell's unless they are asked for; what is led here by a pipe or from a file is meant for
// the command.
bool wants_input(const GuestCommand& options) {
  if (options.no_input) return false;
  return options.interactive || options.terminal || ::isatty(STDIN_FILENO) != 1;
}

Result<ExecPlan> plan_exec(const GuestCommand& options) {
  wire::ExecRequest request;
  request.argv = options.argv;
  request.env = options.env;
  request.workdir = options.workdir;
  request.user = options.user;
  if (options.terminal) describe_terminal(request);
  auto encoded = wire::encode_exec(request);
  if (!encoded) {
    return fail(ErrorKind::usage, "the command with its variables is longer than 64 KiB",
                "pass long input over standard input");
  }
  ExecPlan plan;
  plan.request = std::move(*encoded);
  if (options.terminal) plan.terminal = STDIN_FILENO;
  if (options.timeout) plan.timeout = std::chrono::milliseconds(static_cast<std::int64_t>(*options.timeout * 1000));
  return plan;
}

}  // namespace

Result<GuestCommandEnd> run_guest_command(const Context& context, const GuestCommand& options,
                                          const StreamOpener& open) {
  auto plan = plan_exec(options);
  if (!plan) return fail(plan.error());
  InputSource input(STDIN_FILENO);
  if (wants_input(options)) plan->input = &input;
  auto stream = open();
  if (!stream) return fail(stream.error());
  if (context.out.json()) return run_for_programs(options, std::move(*stream), *plan);
  return run_for_people(options, std::move(*stream), *plan);
}

void add_guest_command_flags(CLI::App& command, GuestCommand& options) {
  command.add_option("-w,--workdir", options.workdir, "where it runs; where left out the image's directory, or /")
      ->type_name("DIRECTORY");
  command
      .add_option("-u,--user", options.user,
                  "as whom it runs, by the guest's own accounts; where left out the image's user, or root")
      ->type_name("USER[:GROUP]");
  command.add_option("--timeout", options.timeout, "kill it after so many seconds; the exit code is 124 then")
      ->check(CLI::Range(0.001, kMaxTimeout))
      ->type_name("SECONDS");
  command.add_flag("-t,--tty", options.terminal, "give it a terminal of the size of this one");
  command.add_flag("-i,--interactive", options.interactive, "pass standard input on even when it is a terminal");
  command.add_flag("-n,--no-stdin", options.no_input, "leave standard input alone");
}

}  // namespace microagent::cli
