#pragma once

#include <sys/types.h>

#include <functional>
#include <unordered_map>

#include "init/loop.h"
#include "wire/agent.h"

namespace microagent::init {

// Takes the ends of all children: those somebody waits for, and the orphans that a PID 1 inherits. The caller blocks
// SIGCHLD and tells of it.
class Reaper {
 public:
  using OnEnd = std::function<void(wire::ExitStatus status)>;

  // Tells how a child ends, once. To be called before the loop runs again.
  void expect(pid_t pid, OnEnd on_end) { expected_[pid] = std::move(on_end); }
  // The child's end interests nobody any more.
  void abandon(pid_t pid) { expected_.erase(pid); }

  void on_child_signal();

  // No child is left, so no other process either, for a PID 1. True once on_child_signal() has seen it.
  bool alone() const { return alone_; }

 private:
  std::unordered_map<pid_t, OnEnd> expected_;
  bool alone_ = false;
};

// How a process ended, from what waitpid(2) says.
wire::ExitStatus exit_status_of(int wait_status);

}  // namespace microagent::init
