#pragma once

#include <CLI/CLI.hpp>
#include <string>
#include <vector>

namespace microagent::cli {

// The words of a guest's command, which `exec` and `run` are given among their own. They are nobody's but the guest's,
// so they are cut off before options are read:
//   exec [OPTIONS] NAME -- COMMAND...       behind the mark
//   create [OPTIONS] NAME -- COMMAND...     behind the mark
//   run [OPTIONS] IMAGE [--] COMMAND...     behind the mark, or from the second word that is no option
std::vector<std::string> cut_off_guest_words(const CLI::App& app, std::vector<std::string>& words);

}  // namespace microagent::cli
