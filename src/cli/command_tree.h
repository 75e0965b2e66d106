#pragma once

// The words of the program as data, from the same tree of CLI11's that --help is printed from: what shells complete and
// what manual pages say is made of it.

#include <CLI/CLI.hpp>
#include <string>
#include <vector>

namespace microagent::cli {

struct OptionWords {
  std::vector<std::string> names;    // with their dashes: "-p", "--publish"
  std::string value;                 // what its value is called, such as FILE; empty for a flag
  std::vector<std::string> choices;  // where only these are values
  std::string help;
};

struct CommandWords {
  std::vector<std::string> path;  // "egress", "allow"; empty for the program itself
  std::vector<std::string> aliases;
  std::string summary, notes;  // one line; what stands below the options
  std::vector<OptionWords> options;
  std::vector<std::string> operands;  // "NAME", in brackets where it may be left out
  std::vector<std::string> operand_help;
  std::vector<CommandWords> commands;

  std::string name() const { return path.empty() ? std::string() : path.back(); }
  // "microagent egress allow", with `between` its words.
  std::string full_name(char between = ' ') const;
  bool takes_workspace() const;
};

CommandWords describe_commands(const CLI::App& app);

// All of them, the program first and each before what is below it.
std::vector<const CommandWords*> flatten(const CommandWords& root);

}  // namespace microagent::cli
