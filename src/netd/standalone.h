#pragma once

#include <span>

#include "base/result.h"

namespace microagent::netd {

// microagent-netd --tap: a user-mode network for any tap, without supervisor and mediator.
struct Standalone {
  // Forks the process that gives the verdicts and hands netd what it needs; returns in netd.
  struct Channels {
    int supervisor_fd = -1, mediator_fd = -1;
  };
  static Result<Channels> start(std::span<char*> words);
  static const char* usage();
};

}  // namespace microagent::netd
