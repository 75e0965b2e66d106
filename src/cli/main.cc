// microagent: the command line.

#include <sys/stat.h>

#include <algorithm>

#include "cli/command_line.h"

int main(int argc, char** argv) {
  ::umask(077);
  return microagent::cli::run_command_line({argv + std::min(argc, 1), argv + argc});
}
