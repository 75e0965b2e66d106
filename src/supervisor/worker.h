#pragma once

#include <memory>
#include <optional>
#include <string>

#include "supervisor/bounded_log.h"
#include "supervisor/child.h"
#include "supervisor/io.h"
#include "supervisor/last_line.h"

namespace microagent::supervisor {

// One of the three processes of a running workspace, watched: how it ended, and what it said last. Must outlive its
// event loop's run.
class Worker {
 public:
  struct Surroundings {
    asio::any_io_executor executor;
    BoundedLog& log;  // takes its standard error
    Changes& changes;
  };

  // `spec.standard_error` is the worker's own affair.
  static Result<std::unique_ptr<Worker>> start(const Surroundings& surroundings, std::string name, ChildSpec spec);

  const std::string& name() const { return name_; }
  pid_t pid() const { return pid_; }
  const std::optional<std::string>& kept_network() const { return kept_network_; }

  // Nothing while it lives. A worker with an end has been reaped.
  const std::optional<ChildEnd>& end() const { return end_; }
  // Whether everything it wrote to its standard error has been read.
  bool drained() const { return drained_; }
  // "netd was killed by signal 9 (SIGKILL): <its last line>".
  std::string obituary() const;

  void kill();

 private:
  Worker(const Surroundings& surroundings, std::string name, Child child, Descriptor pidfd, Descriptor errors);
  asio::awaitable<void> watch_end();
  asio::awaitable<void> copy_errors();

  std::string name_;
  pid_t pid_;
  std::optional<std::string> kept_network_;
  Descriptor pidfd_, errors_;
  BoundedLog& log_;
  Changes& changes_;
  std::optional<ChildEnd> end_;
  LastLine last_line_;
  bool drained_ = false;
};

}  // namespace microagent::supervisor
