#pragma once

// The chained, append-only writer of egress.jsonl. A record is in the file before write() returns, so a decision that
// waits for it can never outrun its record; one of what is over may wait for the next. Records reach the kernel, not
// the platter: they survive the death of any process, and the power cut of a host only as far as its file system wrote
// them back.
//
// A file that has grown to its limit is set aside under a number (log_files.h) and the chain goes on in a new one,
// whose first records say which flows are open. The oldest file goes when there are too many; a record says so before.

#include <cstdint>
#include <filesystem>
#include <functional>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "audit/head.h"
#include "audit/record.h"
#include "audit/tail.h"
#include "base/clock.h"
#include "base/fd.h"
#include "base/result.h"

namespace microagent::audit {

struct Rotation {
  std::uint64_t file_bytes = 16 * 1024 * 1024;
  std::size_t kept_files = 32;  // beside the one that grows
};

class Writer {
 public:
  using Clock = std::string (*)();

  // Opens or makes the log (0600) and goes on with its sequence and chain. A torn last line is moved to <log>.torn with
  // a record that says so; a record says too how many that were written are gone; flows that an earlier process left
  // open are closed with end "lost". A file that is not an audit log is an error that names it, and stays as it is.
  static Result<Writer> open(const std::filesystem::path& log, std::string workspace, Clock clock = utc_timestamp,
                             Rotation rotation = {});

  // A flow number that this log has not used yet.
  std::uint64_t new_flow() { return ++last_flow_; }

  // Appends one record. After a failure nothing of it is in the log, and the next call tries anew.
  Status write(Event event, std::uint64_t flow, const Fields& fields);

  // A record that is in the file with the next write() or flush(), and one of them must come soon: of what is over, or
  // of what waits for it. Where that fails, the records since the last one are not in the log.
  Status write_later(Event event, std::uint64_t flow, const Fields& fields);
  bool has_later() const { return !later_.empty(); }
  Status flush();
  // Hears of each try to write what was held back, whoever made it: whether all of it is in the log, or nothing.
  void set_on_flushed(std::function<void(bool written)> on_flushed) { on_flushed_ = std::move(on_flushed); }

  // Where records could not be written since the last call, one that says how many; nothing else shows that they are
  // missing. Fails while the log still takes none.
  Status tell_unwritten();

  // Closes every flow that is still open with end "lost": their totals died with whoever counted them.
  Status close_open_flows();

  std::uint64_t last_seq() const { return last_seq_; }

 private:
  Writer(std::filesystem::path log, Fd file, HeadFile head, std::string workspace, Clock clock, Rotation rotation,
         Tail tail);

  Status settle(std::uint64_t torn_bytes, const std::optional<Head>& head);
  Status keep_torn_line(std::uint64_t bytes);
  Status drop_partial_line();
  Status append(std::string_view bytes);
  // Behind those that wait.
  void add_record(Event event, std::uint64_t flow, const Fields& fields);
  Status append_record(Event event, std::uint64_t flow, const Fields& fields);
  void note(Event event, std::uint64_t flow, const Fields& fields);
  void note_flushed(bool written);

  Status rotate_if_full();
  Status begin_next_file(std::uint64_t number);
  Status drop_oldest_files();

  std::filesystem::path log_;
  Fd file_;
  HeadFile head_;
  std::string workspace_;
  Clock clock_;
  Rotation rotation_;
  std::function<void(bool written)> on_flushed_;
  std::uint64_t last_seq_;
  std::uint64_t last_flow_;
  std::string prev_;
  std::string later_;        // whole lines that are not in the file yet; the two above know of them
  Head written_;             // the last that is
  std::uint64_t size_;       // of the whole lines
  std::uint64_t rotate_at_;  // the size at which the file is full; what it began with does not count
  bool partial_line_ = false;
  std::uint64_t unwritten_ = 0;  // tries that failed, and that no record tells of
  OpenFlows open_;
  std::vector<std::pair<std::uint64_t, std::optional<OpenFlow>>> notes_;  // what later_ makes of them: open, or over
};

}  // namespace microagent::audit
