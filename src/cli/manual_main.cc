// microagent-manual: writes the manual pages and the shells' completions when the program is built; not installed.

#include <CLI/CLI.hpp>
#include <filesystem>
#include <fstream>
#include <iostream>

#include "cli/command_line.h"
#include "cli/completion_scripts.h"
#include "cli/manual_page.h"

namespace {

namespace fs = std::filesystem;

bool write(const fs::path& path, const std::string& text) {
  fs::create_directories(path.parent_path());
  std::ofstream file(path);
  file << text;
  file.close();
  if (!file) std::cerr << "microagent-manual: cannot write " << path << '\n';
  return static_cast<bool>(file);
}

}  // namespace

int main(int argc, char** argv) {
  if (argc != 3) {
    std::cerr << "usage: microagent-manual DIRECTORY DATE\n";
    return 2;
  }
  using namespace microagent::cli;
  const fs::path share = argv[1];
  const CommandWords root = command_words();
  bool done = write(share / "bash-completion/completions/microagent", bash_completion(root));
  done = write(share / "zsh/site-functions/_microagent", zsh_completion(root)) && done;
  done = write(share / "fish/vendor_completions.d/microagent.fish", fish_completion(root)) && done;
  for (const CommandWords* command : flatten(root)) {
    const fs::path page = share / "man/man1" / (command->full_name('-') + ".1");
    done = write(page, manual_page(*command, MICROAGENT_VERSION, argv[2])) && done;
  }
  return done ? 0 : 1;
}
