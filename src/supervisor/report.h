#pragma once

// What a starting supervisor tells the command that started it, as JSON lines over a pipe that closes with the
// supervisor or as soon as the workspace runs:
//   {"type":"progress","text":"..."}   any number
//   {"type":"running"}                 or
//   {"type":"failed","error":{"kind","message","remediation"}}   after everything has been cleaned up
// The same error object is in the replies of the control socket.

#include <nlohmann/json_fwd.hpp>
#include <optional>
#include <string>
#include <string_view>

#include "base/fd.h"
#include "base/result.h"

namespace microagent::supervisor {

nlohmann::json error_to_json(const Error& error);
// Stands whatever is not an error object.
Error error_from_json(const nlohmann::json& json);

struct Report {
  enum class Kind { progress, running, failed };
  Kind kind{};
  std::string text;  // progress
  Error error;       // failed
};

// Nothing when the line is no report.
std::optional<Report> parse_report(std::string_view line);

// The writing end. A reader that went away is no reason to stop.
class Reporter {
 public:
  explicit Reporter(Fd pipe) : pipe_(std::move(pipe)) {}

  void progress(std::string_view text);
  // Both are the last word.
  void running();
  void failed(const Error& error);

 private:
  void write(const nlohmann::json& line);

  Fd pipe_;
};

}  // namespace microagent::supervisor
