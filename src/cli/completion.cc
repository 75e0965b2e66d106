// microagent completion

#include "cli/command.h"
#include "cli/completion_scripts.h"

namespace microagent::cli {
namespace {

struct CompletionOptions {
  const CLI::App* app = nullptr;
  std::string shell;
};

Result<int> completion(const Context& context, const CompletionOptions& options) {
  const CommandWords root = describe_commands(*options.app);
  const std::string script = options.shell == "bash"  ? bash_completion(root)
                             : options.shell == "zsh" ? zsh_completion(root)
                                                      : fish_completion(root);
  const Status told = context.out.json() ? context.out.record({{"shell", options.shell}, {"script", script}})
                                         : context.out.text(script);
  if (!told) return fail(told.error());
  return 0;
}

}  // namespace

void add_completion(Commands& commands) {
  auto [command, options] =
      commands.add<CompletionOptions>("completion", "Write what teaches a shell the words of this program", completion);
  options->app = &commands.app();
  command->add_option("SHELL", options->shell, "bash, zsh or fish")
      ->required()
      ->check(CLI::IsMember({"bash", "zsh", "fish"}))
      ->type_name("");
  command->footer(
      "`make install` and the Debian package put it where the shells look. By hand:\n"
      "  source <(microagent completion bash)\n"
      "  microagent completion fish > ~/.config/fish/completions/microagent.fish");
}

}  // namespace microagent::cli
