#pragma once

// How a command of the program is made: its words for CLI11, and what it does once they are read.

#include <CLI/CLI.hpp>
#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "base/result.h"
#include "cli/output.h"
#include "workspace/state.h"

namespace microagent::cli {

// What every command works with.
struct Context {
  Output out;
  std::optional<std::string> state_dir;  // --state-dir
  std::vector<std::string> words;        // what stood behind "--"

  Result<workspace::Store> open_store() const;
};

// Gives the exit code.
using Action = std::function<Result<int>(const Context&)>;

class Commands {
 public:
  explicit Commands(CLI::App& app) : app_(app) {}

  // A command whose options are a T, read when the action runs.
  template <typename T>
  struct Command {
    CLI::App* app;
    std::shared_ptr<T> options;
  };

  // `name` and its alias, one line for the overview, and what its own help says in addition.
  template <typename T>
  Command<T> add(const std::string& name, const std::string& summary, Result<int> (*run)(const Context&, const T&)) {
    return add_below(app_, name, summary, run);
  }

  // The same as a word behind another command's, which still acts by itself where the word is none of those.
  template <typename T>
  Command<T> add_below(CLI::App& parent, const std::string& name, const std::string& summary,
                       Result<int> (*run)(const Context&, const T&)) {
    auto options = std::make_shared<T>();
    CLI::App* command = add_subcommand(parent, name, summary);
    // CLI11 calls back for the inner command first.
    command->callback([this, command, options, run] {
      if (!command->get_subcommands().empty()) return;
      action_ = [options, run](const Context& context) { return run(context, *options); };
    });
    return {command, options};
  }

  const CLI::App& app() const { return app_; }
  const Action& action() const { return action_; }

 private:
  static CLI::App* add_subcommand(CLI::App& parent, const std::string& name, const std::string& summary);

  CLI::App& app_;
  Action action_;
};

// A positional NAME that must be given.
void require_name(CLI::App& command, std::string& name);

// One value each time the flag is given, and never the words behind it.
CLI::Option* add_list(CLI::App& command, const std::string& flags, std::vector<std::string>& values,
                      const std::string& help);

void add_create(Commands& commands);
void add_run(Commands& commands);
void add_apply(Commands& commands);
void add_spec(Commands& commands);
void add_start(Commands& commands);
void add_restart(Commands& commands);
void add_supervise(Commands& commands);
void add_stop(Commands& commands);
void add_kill(Commands& commands);
void add_delete(Commands& commands);
void add_prune(Commands& commands);
void add_status(Commands& commands);
void add_list_command(Commands& commands);
void add_network(Commands& commands);
void add_egress(Commands& commands);
void add_quarantine(Commands& commands);
void add_events(Commands& commands);
void add_logs(Commands& commands);
void add_stats(Commands& commands);
void add_exec(Commands& commands);
void add_cp(Commands& commands);
void add_result(Commands& commands);
void add_wait(Commands& commands);
void add_volume(Commands& commands);
void add_doctor(Commands& commands);
void add_completion(Commands& commands);

}  // namespace microagent::cli
