#pragma once

// Whether a guest is healthy, asked once as its workspace declares: a command run in it, or a page got from it. What it
// answers is a guest's word and is parsed as such.

#include <chrono>
#include <string_view>

#include "base/result.h"
#include "workspace/manifest.h"
#include "workspace/state.h"

namespace microagent::cli {

// A probe that goes on in a process of its own, so that nothing a guest does holds up whoever asked. It is killed when
// this goes.
class HealthProbe {
 public:
  static Result<HealthProbe> begin(const workspace::Store& store, const workspace::Manifest& manifest);
  HealthProbe(HealthProbe&& other) noexcept;
  HealthProbe& operator=(HealthProbe&&) = delete;
  ~HealthProbe();

  // Can be read when the probe is done.
  int fd() const { return finding_.get(); }
  // Its finding, an error where the guest is not well. Waits for its end.
  Status take();
  // The same for one that was given all its time.
  static Status late(const workspace::Health& health);

 private:
  HealthProbe(pid_t pid, Fd finding) : pid_(pid), finding_(std::move(finding)) {}

  pid_t pid_;
  Fd finding_;
};

// "HTTP/1.1 200 OK": 200. 0 where it is no status line.
int parse_http_status(std::string_view answer);

}  // namespace microagent::cli
