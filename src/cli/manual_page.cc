#include "cli/manual_page.h"

#include <fmt/format.h>
#include <fmt/ranges.h>

#include <algorithm>
#include <cctype>

namespace microagent::cli {
namespace {

// A dash is a minus that can be copied, and a line that begins with a dot or an apostrophe would be a request.
std::string escaped(std::string_view text) {
  std::string out;
  bool line_begins = true;
  for (const char c : text) {
    if (line_begins && (c == '.' || c == '\'')) out += "\\&";
    if (c == '\\') out += "\\e";
    else if (c == '-') out += "\\-";
    else out += c;
    line_begins = c == '\n';
  }
  return out;
}

std::string bold(std::string_view text) { return "\\fB" + escaped(text) + "\\fR"; }
std::string italic(std::string_view text) { return "\\fI" + escaped(text) + "\\fR"; }

std::string sentence(std::string text) {
  if (text.empty()) return text;
  text[0] = static_cast<char>(std::toupper(static_cast<unsigned char>(text[0])));
  return text.ends_with('.') ? text : text + ".";
}

std::string synopsis(const CommandWords& command) {
  std::string line = bold(command.full_name());
  if (!command.options.empty()) line += " [" + italic("OPTIONS") + "]";
  for (const std::string& operand : command.operands) line += " " + italic(operand);
  if (!command.commands.empty()) line += " " + italic("COMMAND");
  return line;
}

std::string option_item(const OptionWords& option) {
  std::string names;
  for (const std::string& name : option.names) names += (names.empty() ? "" : ", ") + bold(name);
  if (!option.value.empty()) names += " " + italic(option.value);
  std::string help = option.help;
  if (!option.choices.empty()) help += fmt::format(": {}", fmt::join(option.choices, " or "));
  return fmt::format(".TP\n{}\n{}\n", names, escaped(sentence(help)));
}

// Paragraphs; what is indented stands as it is.
std::string notes(std::string_view text) {
  std::string out;
  bool shown_as_is = false, begins = true;
  while (!text.empty()) {
    const std::size_t end = std::min(text.find('\n'), text.size());
    const std::string_view line = text.substr(0, end);
    text.remove_prefix(std::min(end + 1, text.size()));
    const bool indented = line.starts_with("  ");
    if (shown_as_is && !indented) out += ".EE\n.RE\n";
    if (!shown_as_is && indented) out += (begins ? "" : ".PP\n") + std::string(".RS\n.EX\n");
    shown_as_is = indented;
    if (line.empty()) {
      begins = true;
      continue;
    }
    if (begins && !indented && !out.empty()) out += ".PP\n";
    begins = false;
    out += escaped(indented ? line.substr(2) : line) + "\n";
  }
  return shown_as_is ? out + ".EE\n.RE\n" : out;
}

std::string commands(const CommandWords& command) {
  std::string out;
  for (const CommandWords& below : command.commands) {
    std::string names = bold(below.name());
    for (const std::string& alias : below.aliases) names += ", " + bold(alias);
    out += fmt::format(".TP\n{}\n{} See {}(1).\n", names, escaped(sentence(below.summary)), bold(below.full_name('-')));
  }
  return out;
}

std::string see_also(const CommandWords& command) {
  if (command.path.empty()) return {};
  const std::size_t depth = command.path.size() - 1;
  std::string above = "microagent";
  for (std::size_t i = 0; i < depth; ++i) above += "-" + command.path[i];
  return fmt::format(".SH SEE ALSO\n{}(1)\n", bold(above));
}

}  // namespace

std::string manual_page(const CommandWords& command, std::string_view version, std::string_view date) {
  std::string title = command.full_name('-');
  std::transform(title.begin(), title.end(), title.begin(), [](unsigned char c) { return std::toupper(c); });
  std::string summary = command.summary;
  while (summary.ends_with('.')) summary.pop_back();
  std::string page = fmt::format(".TH {} 1 {} \"microagent {}\" \"microagent manual\"\n", title, date, version);
  page += fmt::format(".SH NAME\n{} \\- {}\n", escaped(command.full_name('-')), escaped(summary));
  page += fmt::format(".SH SYNOPSIS\n{}\n", synopsis(command));
  if (!command.notes.empty()) page += ".SH DESCRIPTION\n" + notes(command.notes);
  if (!command.commands.empty()) page += ".SH COMMANDS\n" + commands(command);
  std::string items;
  for (std::size_t i = 0; i < command.operands.size(); ++i) {
    items += fmt::format(".TP\n{}\n{}\n", italic(command.operands[i]), escaped(sentence(command.operand_help[i])));
  }
  for (const OptionWords& option : command.options) items += option_item(option);
  if (!items.empty()) page += ".SH OPTIONS\n" + items;
  return page + see_also(command);
}

}  // namespace microagent::cli
