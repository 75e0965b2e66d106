#include "cli/command_tree.h"

#include <algorithm>

namespace microagent::cli {
namespace {

using Words = std::vector<std::string>;

// "FORMAT:{text,json}": the name in front, the choices in braces. A range, such as "UINT in [1 - 3600]", is neither.
std::string value_name(const std::string& type) { return type.substr(0, type.find_first_of(": ")); }

Words choices_of(const std::string& type) {
  Words choices;
  const std::size_t open = type.find('{'), close = type.find('}');
  if (open == std::string::npos || close == std::string::npos || close < open) return choices;
  std::string word;
  for (const char c : type.substr(open + 1, close - open - 1) + ",") {
    if (c != ',') word += c;
    else choices.push_back(std::exchange(word, {}));
  }
  return choices;
}

OptionWords describe_option(const CLI::Option& option) {
  OptionWords words;
  for (const std::string& name : option.get_snames()) words.names.push_back("-" + name);
  for (const std::string& name : option.get_lnames()) words.names.push_back("--" + name);
  words.help = option.get_description();
  if (option.get_expected_min() == 0) return words;
  const std::string type = option.get_type_name();
  words.value = value_name(type);
  if (words.value.empty()) words.value = "VALUE";
  words.choices = choices_of(type);
  return words;
}

// The name of a positional stands without dashes.
void add_operand(const CLI::Option& option, CommandWords& out) {
  const std::string& name = option.get_name(true);
  const bool several = option.get_expected_max() > 1;
  const std::string shown = several ? name + "..." : name;
  out.operands.push_back(option.get_required() ? shown : "[" + shown + "]");
  out.operand_help.push_back(option.get_description());
}

CommandWords describe_below(const CLI::App& app, Words path) {
  CommandWords out;
  out.path = std::move(path);
  out.aliases = app.get_aliases();
  out.summary = app.get_description();
  out.notes = app.get_footer();
  for (const CLI::Option* option : app.get_options()) {
    if (option->get_group().empty()) continue;
    if (option->get_positional()) add_operand(*option, out);
    else out.options.push_back(describe_option(*option));
  }
  for (const CLI::App* command : app.get_subcommands([](const CLI::App*) { return true; })) {
    if (command->get_group().empty()) continue;
    Words below = out.path;
    below.push_back(command->get_name());
    out.commands.push_back(describe_below(*command, std::move(below)));
  }
  return out;
}

void collect(const CommandWords& command, std::vector<const CommandWords*>& out) {
  out.push_back(&command);
  for (const CommandWords& below : command.commands) collect(below, out);
}

}  // namespace

std::string CommandWords::full_name(char between) const {
  std::string name = "microagent";
  for (const std::string& word : path) name += between + word;
  return name;
}

bool CommandWords::takes_workspace() const {
  // The name of a new workspace is nobody's to propose.
  if (path.empty() || path[0] == "create") return false;
  return std::ranges::any_of(operands,
                             [](const std::string& operand) { return operand.find("NAME") != std::string::npos; });
}

CommandWords describe_commands(const CLI::App& app) { return describe_below(app, {}); }

std::vector<const CommandWords*> flatten(const CommandWords& root) {
  std::vector<const CommandWords*> all;
  collect(root, all);
  return all;
}

}  // namespace microagent::cli
