#pragma once

#include <sys/types.h>

#include <filesystem>
#include <optional>
#include <string>
#include <vector>

#include "base/fd.h"
#include "base/result.h"

namespace microagent::supervisor {

// A program to start as a confined child: without capabilities, killed with its parent, standard input empty, a small
// environment, and no descriptor but those named here.
struct ChildSpec {
  std::filesystem::path program;
  std::vector<std::string> arguments;
  std::vector<int> descriptors;  // become 3, 4, 5 ... in this order
  int standard_output = -1;
  int standard_error = -1;
  bool leave_network = false;  // into an empty network namespace, where this host allows one
};

inline constexpr int kFirstDescriptor = 3;

struct Child {
  pid_t pid = -1;
  Fd pidfd;
  std::optional<std::string> kept_network;  // why the child could not leave the host's network
};

// Returns once the program runs. For a process of one thread.
Result<Child> start_child(const ChildSpec& spec);

// How a child ended: exactly one of exit code and signal is meaningful, `signal` when it is not 0.
struct ChildEnd {
  int code = 0;
  int signal = 0;
};

// "exited with code 1", "was killed by signal 9 (SIGKILL)".
std::string describe(const ChildEnd& end);

// Takes the end of a child; nothing while it lives.
std::optional<ChildEnd> reap(pid_t pid);

}  // namespace microagent::supervisor
