#include <fmt/format.h>
#include <fmt/ranges.h>

#include "cli/completion_scripts.h"

namespace microagent::cli {
namespace {

constexpr const char* kHead = R"zsh(#compdef microagent
# zsh completion for microagent; made by `microagent completion zsh`.

_microagent_workspaces() {
  local -a names
  names=(${(f)"$(microagent list 2>/dev/null | tail -n +2 | cut -d ' ' -f 1)"})
  _describe -t workspaces workspace names
}
)zsh";

// For text in single quotes that _arguments and _describe read: they split at colons and brackets.
std::string quoted(const std::string& text) {
  std::string out;
  for (const char c : text) {
    if (c == '\'') out += "'\\''";
    else if (c == ':' || c == '[' || c == ']' || c == '\\') out += std::string("\\") + c;
    else if (c == '\n') out += ' ';
    else out += c;
  }
  return out;
}

std::string action(const OptionWords& option) {
  if (!option.choices.empty()) return fmt::format("({})", fmt::join(option.choices, " "));
  if (option.value == "FILE" || option.value == "BUNDLE") return "_files";
  if (option.value == "DIRECTORY") return "_directories";
  return " ";
}

// '*--env=[help]:VALUE:action'; a short name's value is the next word. Each may be given again: which may not is the
// program's to say.
std::string specification(const OptionWords& option, const std::string& name) {
  const bool is_long = name.starts_with("--");
  const std::string value =
      option.value.empty() ? std::string() : fmt::format(":{}:{}", quoted(option.value), action(option));
  const char* const joint = option.value.empty() ? "" : is_long ? "=" : "+";
  return fmt::format("'*{}{}[{}]{}'", name, joint, quoted(option.help), value);
}

std::string specifications(const CommandWords& command) {
  std::string lines;
  for (const OptionWords& option : command.options) {
    for (const std::string& name : option.names) lines += fmt::format("    {} \\\n", specification(option, name));
  }
  return lines;
}

std::string function_name(const CommandWords& command) {
  std::string name = "_" + command.full_name('_');
  for (char& c : name) c = c == '-' ? '_' : c;
  return name;
}

// The words below a command, each with its function.
std::string below(const CommandWords& command) {
  std::string described, cases;
  for (const CommandWords& next : command.commands) {
    described += fmt::format("      '{}:{}'\n", next.name(), quoted(next.summary));
    cases += fmt::format("        {}) {} ;;\n",
                         fmt::join(
                             [&] {
                               auto names = next.aliases;
                               names.insert(names.begin(), next.name());
                               return names;
                             }(),
                             "|"),
                         function_name(next));
  }
  const char* const names = command.takes_workspace() ? "      _microagent_workspaces\n" : "";
  return fmt::format(
      "  case $state in\n    word)\n      local -a commands=(\n{}      )\n      _describe -t commands command "
      "commands\n{}"
      "      ;;\n    rest)\n      case $words[1] in\n{}      esac\n      ;;\n  esac\n",
      described, names, cases);
}

std::string function(const CommandWords& command, const std::string& common) {
  const std::string name = function_name(command);
  if (!command.commands.empty()) {
    return fmt::format(
        "\n{}() {{\n  local curcontext=$curcontext state line\n  typeset -A opt_args\n  _arguments -C \\\n{}{}    '1: "
        ":->word' "
        "\\\n    '*:: :->rest'\n{}}}\n",
        name, specifications(command), command.path.empty() ? "" : common, below(command));
  }
  // The guest's own words are no affair of ours.
  const char* const operands = command.takes_workspace() ? "'*: :_microagent_workspaces'" : "'*: :_files'";
  return fmt::format("\n{}() {{\n  _arguments \\\n{}{}    {}\n}}\n", name, specifications(command), common, operands);
}

}  // namespace

std::string zsh_completion(const CommandWords& root) {
  const std::string common = specifications(root);
  std::string script = kHead;
  for (const CommandWords* command : flatten(root)) script += function(*command, common);
  return script +
         "\nif [[ $funcstack[1] == _microagent ]]; then\n  _microagent \"$@\"\nelse\n  compdef _microagent "
         "microagent\nfi\n";
}

}  // namespace microagent::cli
