#pragma once

// The one hand that writes the audit log of this process. A refusal gets its id here, and everybody who is told of it
// gets the same.

#include <chrono>
#include <cstdint>
#include <functional>
#include <map>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "audit/denials.h"
#include "audit/writer.h"
#include "mediator/denial.h"
#include "mediator/log_limit.h"

namespace microagent::mediator {

struct Record {
  audit::Event event{};
  audit::Fields fields;
};

class Recorder {
 public:
  using Time = std::chrono::steady_clock::time_point;

  // For how long records that say the same are counted, how often it is looked whose time is over, and how many kinds
  // of them there may be; beyond that everything is written.
  static constexpr std::chrono::seconds kWindow{5};
  static constexpr std::chrono::seconds kSweep{1};
  static constexpr std::size_t kMaxKinds = 4096;

  explicit Recorder(audit::Writer log);
  Recorder(const Recorder&) = delete;
  Recorder& operator=(const Recorder&) = delete;
  ~Recorder();

  std::uint64_t new_flow() { return log_.new_flow(); }

  // False, with a warning in the process's log, when it cannot be written.
  bool write(std::uint64_t flow, const Record& record);

  // The same of something that is over and that nobody waits for: with the next record, or when flush() is called.
  // `on_later` is told when that is due: once the event loop has done what it is at.
  void write_later(std::uint64_t flow, const Record& record);
  void set_on_later(std::function<void()> on_later) { on_later_ = std::move(on_later); }
  // The same of what waits for its record: `done` hears, when flush() is called, whether it is in the log. Many that
  // come together cost one write.
  void write_then(std::uint64_t flow, const Record& record, std::function<void(bool written)> done);
  void flush();
  // Whether what happens now can be written down. Where a record could not be, one is tried that says so.
  bool can_write();

  // Writes a refusal down, or counts it with those of its kind (audit/denials.h), and gives it its id.
  bool refuse(Denial& denial, std::string_view dst, std::string_view proto, const Record& record);

  // Writes a record, or counts it where one of the same `key` was just written.
  bool write_or_count(const std::string& key, std::uint64_t flow, const std::function<Record()>& make);

  // Writes down the counts whose time has come; all of them at the end.
  void write_counts(Time now);
  void write_all_counts();
  // Closes what is still open: its end was not told to us.
  Status close_open_flows() { return log_.close_open_flows(); }

  const RecentDenials& denials() const { return recent_; }
  std::uint64_t denial_count() const { return denial_count_; }

 private:
  struct Kind {
    std::uint64_t flow = 0;
    Record record;
    std::uint64_t count = 0;  // since it was written
    Time until;
  };

  struct Waiting {
    std::function<void(bool written)> done;
    std::optional<bool> written;  // nothing as long as its record is still to be written
  };

  void write_count(const Kind& kind);

  audit::Writer log_;
  audit::Denials denials_;
  RecentDenials recent_;
  std::uint64_t denial_count_ = 0;
  std::map<std::string, Kind, std::less<>> kinds_;
  LogLimit warnings_;
  std::function<void()> on_later_;
  std::vector<Waiting> waiting_;
};

}  // namespace microagent::mediator
