#pragma once

// A command in a guest on a person's or a program's behalf, which is what `exec` and `run` have in common.

#include <functional>
#include <optional>
#include <string>
#include <vector>

#include "base/fd.h"
#include "cli/command.h"

namespace microagent::cli {

struct GuestCommand {
  std::vector<std::string> argv, env;
  std::string workdir, user;
  std::optional<double> timeout;  // seconds
  bool terminal = false, interactive = false, no_input = false;
};

void add_guest_command_flags(CLI::App& command, GuestCommand& options);

// Whether the options agree with each other and with the wanted format. Kind usage.
Status check_guest_command(const Context& context, const GuestCommand& options);

// How the command ended: its exit code, and for programs its record, which holds the output.
struct GuestCommandEnd {
  int code = 0;
  nlohmann::json record;
};

using StreamOpener = std::function<Result<Fd>()>;

// Runs it over the stream that `open` gives, with our standard input and output for people.
Result<GuestCommandEnd> run_guest_command(const Context& context, const GuestCommand& options,
                                          const StreamOpener& open);

}  // namespace microagent::cli
