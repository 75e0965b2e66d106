#pragma once

// The chained, append-only writer of egress.jsonl. A record is in the file before write() returns, so a decision that
// waits for it can never outrun its record. Records reach the kernel, not the platter: they survive the death of any
// process, and the power cut of a host only as far as its file system wrote them back.

#include <cstdint>
#include <filesystem>
#include <map>
#include <string>

#include "audit/record.h"
#include "audit/tail.h"
#include "base/clock.h"
#include "base/fd.h"
#include "base/result.h"

namespace microagent::audit {

class Writer {
 public:
  using Clock = std::string (*)();

  // Opens or makes the log (0600) and goes on with its sequence and chain. A torn last line is moved to <log>.torn with
  // a record that says so; flows that an earlier process left open are closed with end "lost". A file that is not an
  // audit log is an error that names it, and stays as it is.
  static Result<Writer> open(const std::filesystem::path& log, std::string workspace, Clock clock = utc_timestamp);

  // A flow number that this log has not used yet.
  std::uint64_t new_flow() { return ++last_flow_; }

  // Appends one record. After a failure nothing of it is in the log, and the next call tries anew.
  Status write(Event event, std::uint64_t flow, const Fields& fields);

  // Closes every flow that is still open with end "lost": their totals died with whoever counted them.
  Status close_open_flows();

 private:
  Writer(Fd file, std::string name, std::string workspace, Clock clock, Tail tail);

  Status move_torn_line_aside(std::uint64_t bytes);
  Status drop_partial_line();
  Status append(std::string_view line);

  Fd file_;
  std::string name_;
  std::string workspace_;
  Clock clock_;
  std::uint64_t last_seq_;
  std::uint64_t last_flow_;
  std::string prev_;
  std::uint64_t size_;  // of the whole lines
  bool partial_line_ = false;
  std::map<std::uint64_t, OpenFlow> open_;
};

}  // namespace microagent::audit
