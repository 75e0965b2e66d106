#pragma once

#include <chrono>
#include <string>
#include <string_view>

#include "cli/output.h"

namespace microagent::cli {

// Phases of something that takes time, one line each on standard error, for people only: at once on a terminal,
// elsewhere once a second has passed.
class Progress {
 public:
  Progress(const Output& out, std::string subject);
  void operator()(std::string_view phase) const;

 private:
  std::string subject_;
  bool wanted_, watched_;
  std::chrono::steady_clock::time_point begun_;
};

}  // namespace microagent::cli
