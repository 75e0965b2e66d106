#pragma once

// The process that holds the secrets. It reads references, signs and has tokens issued, and tells the mediator what to
// put into requests; neither keys nor clients' secrets ever come to the mediator, which faces the guest.

#include <string>
#include <vector>

#include "base/fd.h"
#include "base/result.h"
#include "policy/swap.h"

namespace microagent::credentials {

struct ProcessSpec {
  policy::SwapSet swaps;
  int variables = -1;              // a pipe or file, as Variables::read_from() has it; -1: no swap names any
  std::vector<std::string> trust;  // PEM, beside what the host trusts
};

// Forks the process and gives the socket to it, for Client. Before the caller confines itself, and while it has one
// thread. The process ends with its caller.
Result<Fd> start_process(const ProcessSpec& spec);

// What it does; until the other end is closed.
Status serve(Fd socket, const ProcessSpec& spec);

}  // namespace microagent::credentials
