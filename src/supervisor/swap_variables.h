#pragma once

// What of the environment of `microagent start` the workspace's swaps take. It goes by a pipe from there to the process
// that holds credentials, and no process on the way has it in its environment.

#include <string>
#include <string_view>
#include <vector>

#include "base/fd.h"
#include "base/result.h"
#include "base/secret.h"

namespace microagent::supervisor {

class SwapVariables {
 public:
  void add(std::string_view name, std::string_view value);

  bool empty() const { return names_.empty(); }

  // Holds all of them, as credentials/variables.h reads it. Kind permanent when they are too long to be passed on.
  Result<Fd> to_pipe() const;
  // The calling process's environment without them.
  std::vector<std::string> other_environment() const;

 private:
  std::vector<std::string> names_;
  Secret text_;  // NAME=VALUE and a NUL each
};

}  // namespace microagent::supervisor
