#include <fmt/format.h>
#include <fmt/ranges.h>

#include "cli/completion_scripts.h"

namespace microagent::cli {
namespace {

using Words = std::vector<std::string>;

constexpr const char* kHead = R"bash(# bash completion for microagent; made by `microagent completion bash`.

_microagent_workspaces() {
  microagent list 2>/dev/null | awk 'NR > 1 { print $1 }'
}

# The words of the command line so far: which command it is, and whether the one before the cursor wants a value.
_microagent() {
  local current=${COMP_WORDS[COMP_CWORD]} command=microagent wanted= word i
  for ((i = 1; i < COMP_CWORD; i++)); do
    word=${COMP_WORDS[i]}
    wanted=
    if [[ $word == -- ]]; then
      compopt -o default
      return
    fi
    if [[ $word == -* ]]; then
      wanted=$(_microagent_value "$command" "$word")
      [[ -n $wanted ]] && ((i + 1 < COMP_CWORD)) && ((i++)) && wanted=
      continue
    fi
    command=$(_microagent_below "$command" "$word")
  done
  COMPREPLY=()
  case $wanted in
    '') ;;
    FILE) compopt -o default; return ;;
    DIRECTORY) compopt -o dirnames; return ;;
    *' '*) COMPREPLY=($(compgen -W "$wanted" -- "$current")); return ;;
    *) return ;;
  esac
  if [[ $current == -* ]]; then
    COMPREPLY=($(compgen -W "$(_microagent_options "$command") --json --output --state-dir --help" -- "$current"))
    return
  fi
  COMPREPLY=($(compgen -W "$(_microagent_words "$command")" -- "$current"))
}
complete -F _microagent microagent
)bash";

std::string join(const Words& words) { return fmt::format("{}", fmt::join(words, " ")); }

Words option_names(const CommandWords& command) {
  Words names;
  for (const OptionWords& option : command.options) names.insert(names.end(), option.names.begin(), option.names.end());
  return names;
}

Words command_names(const CommandWords& command) {
  Words names;
  for (const CommandWords& below : command.commands) {
    names.push_back(below.name());
    names.insert(names.end(), below.aliases.begin(), below.aliases.end());
  }
  return names;
}

// What may stand where no option does.
std::string operand_words(const CommandWords& command) {
  std::string words = join(command_names(command));
  if (command.takes_workspace()) words += " $(_microagent_workspaces)";
  return words;
}

// A word for the script: the choices, with a blank at the end so that it is known for a list, or what the value is.
std::string value_word(const OptionWords& option) {
  return option.choices.empty() ? option.value : join(option.choices) + " ";
}

std::string function(const char* name, const std::string& cases) {
  return fmt::format("\n{}() {{\n  case $1 in\n{}  esac\n}}\n", name, cases);
}

}  // namespace

std::string bash_completion(const CommandWords& root) {
  std::string values, below, options, words;
  for (const CommandWords* command : flatten(root)) {
    const std::string name = command->full_name();
    options += fmt::format("    '{}') echo '{}' ;;\n", name, join(option_names(*command)));
    words += fmt::format("    '{}') echo \"{}\" ;;\n", name, operand_words(*command));
    for (const OptionWords& option : command->options) {
      if (option.value.empty()) continue;
      for (const std::string& word : option.names) {
        values += fmt::format("    '{} {}') echo '{}' ;;\n", name, word, value_word(option));
      }
    }
    for (const CommandWords& next : command->commands) {
      Words names = next.aliases;
      names.insert(names.begin(), next.name());
      for (const std::string& word : names) {
        below += fmt::format("    '{} {}') echo '{}' ;;\n", name, word, next.full_name());
      }
    }
  }
  // The program's own options may stand behind a command too.
  for (const OptionWords& option : root.options) {
    if (option.value.empty()) continue;
    for (const std::string& word : option.names)
      values += fmt::format("    *' {}') echo '{}' ;;\n", word, value_word(option));
  }
  below += "    *) echo \"$1\" ;;\n";
  std::string script = kHead;
  script += "\n_microagent_value() {\n  case \"$1 $2\" in\n" + values + "  esac\n}\n";
  script += "\n_microagent_below() {\n  case \"$1 $2\" in\n" + below + "  esac\n}\n";
  return script + function("_microagent_options", options) + function("_microagent_words", words);
}

}  // namespace microagent::cli
