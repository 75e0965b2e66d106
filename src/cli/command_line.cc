#include "cli/command_line.h"

#include <algorithm>

#include "cli/command.h"
#include "cli/guest_words.h"
#include "cli/image.h"

namespace microagent::cli {
namespace {

constexpr const char* kProgram = "microagent";
constexpr const char* kAbout =
    "Runs the workspaces of AI agents in microVMs, and owns their network: what the mediator does not open does not "
    "exist.";

struct GlobalOptions {
  bool json = false;
  std::string output = "text";
  std::optional<std::string> state_dir;
};

using Words = std::vector<std::string>;

void add_global_options(CLI::App& app, GlobalOptions& options) {
  app.add_flag("--json", options.json, "the same as --output json");
  app.add_option("--output", options.output, "text for people, json for programs")
      ->check(CLI::IsMember({"text", "json"}))
      ->type_name("FORMAT");
  app.add_option("--state-dir", options.state_dir,
                 "where workspaces are kept; else MICROAGENT_HOME, else ~/.microagent")
      ->type_name("DIRECTORY");
  app.set_version_flag("--version", std::string("microagent ") + MICROAGENT_VERSION, "print the version");
}

void add_commands(Commands& commands) {
  add_create(commands);
  add_run(commands);
  add_apply(commands);
  add_spec(commands);
  add_start(commands);
  add_restart(commands);
  add_supervise(commands);
  add_stop(commands);
  add_kill(commands);
  add_delete(commands);
  add_prune(commands);
  add_status(commands);
  add_list_command(commands);
  add_network(commands);
  add_egress(commands);
  add_quarantine(commands);
  add_events(commands);
  add_logs(commands);
  add_stats(commands);
  add_exec(commands);
  add_cp(commands);
  add_result(commands);
  add_wait(commands);
  add_volume(commands);
  add_image(commands);
  add_doctor(commands);
  add_completion(commands);
}

// The format wanted by words that may not make sense as a whole.
Format wanted_format(const Words& words) {
  for (std::size_t i = 0; i < words.size(); ++i) {
    if (words[i] == "--json" || words[i] == "--output=json") return Format::json;
    if (words[i] == "--output" && i + 1 < words.size() && words[i + 1] == "json") return Format::json;
  }
  return Format::text;
}

std::string help_command(const CLI::App& app) {
  const auto chosen = app.get_subcommands();
  return chosen.empty() ? "microagent --help" : "microagent " + chosen[0]->get_name() + " --help";
}

Error parse_error(const CLI::App& app, const CLI::ParseError& wrong) {
  const bool stray = dynamic_cast<const CLI::ExtrasError*>(&wrong) != nullptr;
  if (stray && app.got_subcommand("exec")) {
    return {ErrorKind::usage, wrong.what(), "write the command behind --: microagent exec NAME -- COMMAND"};
  }
  const std::string remedy = "see `" + help_command(app) + "`";
  const bool no_command = app.get_subcommands().empty() && dynamic_cast<const CLI::RequiredError*>(&wrong) != nullptr;
  if (!no_command) return {ErrorKind::usage, wrong.what(), remedy};
  // CLI11 misses the command before it looks at the word in its place.
  const Words rest = app.remaining();
  if (rest.empty()) return {ErrorKind::usage, "a command is missing", remedy};
  const char* what = rest[0].starts_with('-') ? "there is no option " : "there is no command ";
  return {ErrorKind::usage, what + rest[0], remedy};
}

int act(const CLI::App& app, const GlobalOptions& options, const Commands& commands, Words guest_words) {
  const Format format = options.json || options.output == "json" ? Format::json : Format::text;
  const Context context{Output(format), options.state_dir, std::move(guest_words)};
  const bool takes_words = app.got_subcommand("exec") || app.got_subcommand("run") || app.got_subcommand("create");
  if (!context.words.empty() && !takes_words) {
    const Error error{ErrorKind::usage, "nothing can stand behind -- here", "see `" + help_command(app) + "`"};
    context.out.error(error);
    return exit_code(error);
  }
  const auto code = commands.action()(context);
  if (code) return *code;
  context.out.error(code.error());
  return exit_code(code.error());
}

void build(CLI::App& app, GlobalOptions& options, Commands& commands) {
  add_global_options(app, options);
  add_commands(commands);
  app.require_subcommand(1);
  app.footer(
      "`microagent COMMAND --help` says more. Exit codes: 0 done, 1 failed, 2 wrong words, 75 worth retrying, and\n"
      "the guest's own for exec and run.");
}

}  // namespace

int run_command_line(Words words) {
  CLI::App app(kAbout, kProgram);
  GlobalOptions options;
  Commands commands(app);
  build(app, options, commands);

  Words guest_words = cut_off_guest_words(app, words);
  try {
    app.parse(Words(words.rbegin(), words.rend()));
  } catch (const CLI::Success& asked) {
    return app.exit(asked);
  } catch (const CLI::ParseError& wrong) {
    const Error error = parse_error(app, wrong);
    Output(wanted_format(words)).error(error);
    return exit_code(error);
  }
  return act(app, options, commands, std::move(guest_words));
}

CommandWords command_words() {
  CLI::App app(kAbout, kProgram);
  GlobalOptions options;
  Commands commands(app);
  build(app, options, commands);
  return describe_commands(app);
}

}  // namespace microagent::cli
