#include <fmt/format.h>
#include <fmt/ranges.h>

#include "cli/completion_scripts.h"

namespace microagent::cli {
namespace {

constexpr const char* kHead = R"fish(# fish completion for microagent; made by `microagent completion fish`.

function __microagent_workspaces
    microagent list 2>/dev/null | awk 'NR > 1 { print $1 }'
end

# Whether the words so far lead to this command, and to none below it.
function __microagent_at
    set -l words (commandline -opc)[2..]
    set -l path
    for word in $words
        string match -q -- '-*' $word; and continue
        set -l next (string join ' ' $path $word)
        if contains -- "$next" $__microagent_commands
            set path (string split ' ' -- (__microagent_plain "$next"))
        end
    end
    test "$path" = "$argv"
end

complete -c microagent -f
)fish";

// For text in single quotes.
std::string quoted(const std::string& text) {
  std::string out = "'";
  for (const char c : text) {
    if (c == '\'' || c == '\\') out += std::string("\\") + c;
    else out += c == '\n' ? ' ' : c;
  }
  return out + "'";
}

std::string path_of(const CommandWords& command) { return fmt::format("{}", fmt::join(command.path, " ")); }

std::string values(const OptionWords& option) {
  if (option.value.empty()) return "";
  if (!option.choices.empty()) return fmt::format(" -x -a '{}'", fmt::join(option.choices, " "));
  if (option.value == "FILE") return " -r -F";
  if (option.value == "DIRECTORY") return " -x -a '(__fish_complete_directories)'";
  return " -x";
}

std::string option_line(const OptionWords& option, const std::string& condition) {
  std::string line = "complete -c microagent" + condition;
  for (const std::string& name : option.names) {
    line += name.starts_with("--") ? " -l " + name.substr(2) : " -s " + name.substr(1);
  }
  return line + values(option) + " -d " + quoted(option.help) + "\n";
}

std::string condition(const CommandWords& command) {
  return fmt::format(" -n \"__microagent_at {}\"", path_of(command));
}

}  // namespace

std::string fish_completion(const CommandWords& root) {
  std::string known, plain, lines;
  for (const OptionWords& option : root.options) lines += option_line(option, "");
  for (const CommandWords* command : flatten(root)) {
    const std::string here = condition(*command);
    for (const CommandWords& next : command->commands) {
      lines += fmt::format("complete -c microagent{} -a {} -d {}\n", here, next.name(), quoted(next.summary));
      auto names = next.aliases;
      names.insert(names.begin(), next.name());
      for (const std::string& name : names) {
        const std::string prefix = path_of(*command).empty() ? "" : path_of(*command) + " ";
        known += fmt::format(" '{}{}'", prefix, name);
        plain += fmt::format("        case '{}{}'\n            echo '{}'\n", prefix, name, path_of(next));
      }
    }
    if (command->takes_workspace())
      lines += fmt::format("complete -c microagent{} -a '(__microagent_workspaces)'\n", here);
    if (command->path.empty()) continue;
    for (const OptionWords& option : command->options) lines += option_line(option, here);
  }
  return fmt::format(
      "{}\nset -g __microagent_commands{}\n\nfunction __microagent_plain\n    switch \"$argv\"\n{}    end\nend\n\n{}",
      kHead, known, plain, lines);
}

}  // namespace microagent::cli
