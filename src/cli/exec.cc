// microagent exec

#include <fmt/format.h>

#include "cli/command.h"
#include "cli/exec_stream.h"
#include "cli/guest_command.h"

namespace microagent::cli {
namespace {

struct ExecOptions {
  std::string name;
  GuestCommand command;
};

Result<int> exec(const Context& context, const ExecOptions& options) {
  if (context.words.empty()) {
    return fail(ErrorKind::usage, "there is no command to run",
                fmt::format("write it behind --: microagent exec {} -- ls -l", options.name));
  }
  GuestCommand command = options.command;
  command.argv = context.words;
  if (Status valid = check_guest_command(context, command); !valid) return fail(valid.error());
  auto end = run_guest_command(context, command, [&] { return open_exec_stream(context, options.name); });
  if (!end) return fail(end.error());
  if (!context.out.json()) return end->code;
  end->record["workspace"] = options.name;
  if (Status told = context.out.record(std::move(end->record)); !told) return fail(told.error());
  return end->code;
}

}  // namespace

void add_exec(Commands& commands) {
  auto [command, options] = commands.add<ExecOptions>("exec", "Run a command in a running workspace", exec);
  require_name(*command, options->name);
  add_list(*command, "-e,--env", options->command.env, "a variable of the command; may be repeated")
      ->type_name("NAME=VALUE");
  add_guest_command_flags(*command, options->command);
  command->footer(
      "The command stands behind --: microagent exec [OPTIONS] NAME -- COMMAND [ARGUMENT...]\n\n"
      "What stands behind -- goes to the guest as it is; no shell reads it. Standard output and error are the\n"
      "command's, and so is the exit code: 128 and its number for a signal, 126 or 127 when it cannot be run. "
      "Standard\n"
      "input is passed on from a pipe or a file, and from a terminal with -i or -t. With -t every key goes to the\n"
      "command, Ctrl-C too. However this program ends, the command ends with it. With --json the output comes in\n"
      "one record, in base64 (stdoutBase64, stderrBase64) where it is no UTF-8.\n\n"
      "Examples:\n"
      "  microagent exec web -- ip addr\n"
      "  microagent exec -t web -- sh\n"
      "  tar c data | microagent exec web -- tar x -C /tmp");
}

}  // namespace microagent::cli
