#pragma once

#include <span>
#include <string>

#include "base/fd.h"
#include "base/result.h"
#include "workspace/state.h"

namespace microagent::cli {

// Tells a command that follows something of a workspace when to look again, and when for the last time.
class GrowthWatch {
 public:
  virtual ~GrowthWatch() = default;
  // Whether nobody will write any more. Asked before a look, so that the last one misses nothing.
  virtual Result<bool> over() = 0;
  // Until something may have changed since the last call.
  virtual void wait() = 0;
};

// Watches the workspace's directory by inotify, and its supervisor over the control socket: one that is killed changes
// no file.
class WorkspaceWatch final : public GrowthWatch {
 public:
  // `store` must outlive the watch. Begin it before the first look.
  static Result<WorkspaceWatch> open(const workspace::Store& store, std::string name);

  // A workspace that runs, or that `microagent supervise` is about to start again, is not over.
  Result<bool> over() override;
  void wait() override;
  // The same, or until one of the descriptors can be read, or so many milliseconds have passed; -1 is no bound.
  void wait_beside(std::span<const int> others, int milliseconds);

 private:
  WorkspaceWatch(const workspace::Store& store, std::string name, Fd changes)
      : store_(&store), name_(std::move(name)), changes_(std::move(changes)) {}

  const workspace::Store* store_;
  std::string name_;
  Fd changes_;
  Fd end_;  // can be read when the supervisor has ended; empty while there is none that could be asked
};

}  // namespace microagent::cli
