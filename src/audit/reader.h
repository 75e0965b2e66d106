#pragma once

// Reads a log as one sequence of records, across its rotations and while it grows.

#include <cstdint>
#include <filesystem>
#include <functional>
#include <string>

#include "audit/record.h"
#include "base/fd.h"
#include "base/result.h"

namespace microagent::audit {

class Reader {
 public:
  // The record, and its whole line. An error ends the reading.
  using Sink = std::function<Status(const ParsedRecord&, std::string_view line)>;

  // From the oldest record that is left.
  explicit Reader(std::filesystem::path log) : log_(std::move(log)) {}

  // Hands over every record that came since the last call; each once, in order, however often the log was rotated in
  // between. The unfinished line of a writer that is at work, or died, is left for later. No log yet is no error. A
  // line that is not a record is an error that names it.
  Status read_on(const Sink& sink);

  // Records that are not there: rotation dropped them before they were read, or somebody else did.
  std::uint64_t missed() const { return missed_; }

 private:
  struct Successor {
    Fd file;
    std::filesystem::path name;
  };

  Status open_first();
  Result<Successor> open_successor();
  Status read_file(const Sink& sink);
  Status take(std::string_view line, const Sink& sink);

  std::filesystem::path log_;
  std::filesystem::path name_;  // of the file that is being read, when it was opened
  Fd file_;
  std::uint64_t offset_ = 0;  // of the first byte that is not yet handed over
  std::uint64_t line_ = 0;    // lines handed over of this file
  std::uint64_t last_seq_ = 0;
  std::uint64_t missed_ = 0;
};

}  // namespace microagent::audit
