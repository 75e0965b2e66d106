#pragma once

#include <sys/types.h>

#include <functional>
#include <optional>
#include <string>
#include <vector>

#include "base/fd.h"
#include "base/result.h"
#include "init/accounts.h"
#include "init/environment.h"
#include "wire/agent.h"

namespace microagent::init {

enum class Streams : std::uint8_t {
  pipes,     // one for each of standard input, output and error
  terminal,  // a new one for all three, controlling
  console,   // nothing to read; output and error as init's own
};

struct ProcessSpec {
  std::vector<std::string> argv;  // argv[0] is looked up in the environment's PATH
  Environment environment;
  std::string workdir = "/";
  Streams streams = Streams::pipes;
  wire::TerminalSize size{};
  Identity identity{};
  std::function<int()> body{};  // runs in the child in place of argv; its result is the exit code
};

// A child in a session and process group of its own, whose number is `pid`.
struct Process {
  pid_t pid = -1;
  // Our ends, non-blocking. Of a terminal `input` and `output` are one thing twice.
  Fd input, output, error_output;
  // Readable once it is known whether the child could begin: take_start_failure().
  Fd verdict;
};

Result<Process> start_process(const ProcessSpec& spec);

// Why a child did not begin: 127 when there is no such command, 126 when it cannot be run.
struct StartFailure {
  std::uint32_t code = 0;
  std::string text;
};
// Nothing when it began, or has not come so far.
std::optional<StartFailure> take_start_failure(int verdict, const ProcessSpec& spec);

// Ends every process of a session at once, whatever process group it has moved to.
void kill_session(pid_t session);

}  // namespace microagent::init
