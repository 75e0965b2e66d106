#pragma once

// The one hand that writes the audit log of this process. A refusal gets its id here, and everybody who is told of it
// gets the same. Refusals that only repeat themselves, and cached DNS answers, are written once and then counted: a guest
// that tries a thousand times a second is one line every kFold, not a thousand.

#include <chrono>
#include <cstdint>
#include <functional>
#include <map>
#include <string>
#include <string_view>

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

  static constexpr std::chrono::seconds kFold{5};
  static constexpr std::chrono::seconds kSweep{1};
  static constexpr std::size_t kMaxFolds = 4096;  // beyond it everything is written

  explicit Recorder(audit::Writer log) : log_(std::move(log)) {}

  std::uint64_t new_flow() { return log_.new_flow(); }

  // False, with a warning in the process's log, when it cannot be written.
  bool write(std::uint64_t flow, const Record& record);

  // Names the refusal and writes it down, or counts it where the same was refused just now. `make` gives the record of
  // a denial that has its id.
  bool refuse(Denial& denial, std::string_view dst, std::string_view proto,
              const std::function<Record(const Denial&)>& make);
  // Writes a record that says the same as others of its `key`, or counts it.
  bool write_or_count(const std::string& key, std::uint64_t flow, const std::function<Record()>& make);

  // Writes down the counts whose time has come; all of them at the end.
  void write_counts(Time now);
  void write_all_counts();
  // Closes what is still open: its end was not told to us.
  Status close_open_flows() { return log_.close_open_flows(); }

  const RecentDenials& denials() const { return denials_; }
  std::uint64_t denial_count() const { return denial_count_; }

 private:
  struct Fold {
    std::uint64_t flow = 0;
    std::string id;  // of a refusal
    Record record;
    std::uint64_t count = 0;  // since it was written
    Time until;
  };
  using Folds = std::map<std::string, Fold, std::less<>>;

  Fold* find(const std::string& key);
  bool begin(const std::string& key, Fold fold);
  void write_count(const Fold& fold);

  audit::Writer log_;
  Folds folds_;
  Time next_sweep_{};
  RecentDenials denials_;
  std::uint64_t denial_count_ = 0;
  LogLimit warnings_;
};

}  // namespace microagent::mediator
