#include "cli/command.h"

namespace microagent::cli {

Result<workspace::Store> Context::open_store() const {
  auto root = workspace::state_root(state_dir);
  if (!root) return fail(root.error());
  return workspace::Store::open(std::move(*root));
}

CLI::App* Commands::add_subcommand(CLI::App& parent, const std::string& name, const std::string& summary) {
  CLI::App* command = parent.add_subcommand(name, summary);
  // --json, --output and --state-dir may follow the command.
  command->fallthrough();
  return command;
}

void require_name(CLI::App& command, std::string& name) {
  command.add_option("NAME", name, "the workspace")->required()->type_name("");
}

CLI::Option* add_list(CLI::App& command, const std::string& flags, std::vector<std::string>& values,
                      const std::string& help) {
  return command.add_option(flags, values, help)
      ->expected(1)
      ->allow_extra_args(false)
      ->multi_option_policy(CLI::MultiOptionPolicy::TakeAll);
}

}  // namespace microagent::cli
