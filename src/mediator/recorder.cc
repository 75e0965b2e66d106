#include "mediator/recorder.h"

#include <fmt/format.h>

namespace microagent::mediator {

bool Recorder::write(std::uint64_t flow, const Record& record) {
  const Status status = log_.write(record.event, flow, record.fields);
  if (!status) warnings_.warn(status.error().message);
  return status.has_value();
}

bool Recorder::refuse(Denial& denial, std::string_view dst, std::string_view proto,
                      const std::function<Record(const Denial&)>& make) {
  ++denial_count_;
  const std::string key = fmt::format("{}\n{}\n{}\n{}\n{}", proto, dst, denial.host, denial.reason, denial.rule);
  if (Fold* fold = find(key)) {
    ++fold->count;
    denial.id = fold->id;
    return true;
  }
  const std::uint64_t number = new_flow();
  denial.id = fmt::format("d{}", number);
  denials_.add({utc_timestamp(), std::string(dst), std::string(proto), denial});
  return begin(key, {number, denial.id, make(denial), 0, {}});
}

bool Recorder::write_or_count(const std::string& key, std::uint64_t flow, const std::function<Record()>& make) {
  if (Fold* fold = find(key)) {
    ++fold->count;
    return true;
  }
  return begin(key, {flow, {}, make(), 0, {}});
}

Recorder::Fold* Recorder::find(const std::string& key) {
  const auto found = folds_.find(key);
  if (found == folds_.end()) return nullptr;
  if (std::chrono::steady_clock::now() < found->second.until) return &found->second;
  write_count(found->second);
  folds_.erase(found);
  return nullptr;
}

bool Recorder::begin(const std::string& key, Fold fold) {
  if (!write(fold.flow, fold.record)) return false;
  const Time now = std::chrono::steady_clock::now();
  if (folds_.size() >= kMaxFolds && now >= next_sweep_) write_counts(now);
  if (folds_.size() >= kMaxFolds) return true;
  fold.until = now + kFold;
  folds_.emplace(key, std::move(fold));
  return true;
}

void Recorder::write_counts(Time now) {
  next_sweep_ = now + kSweep;
  for (auto fold = folds_.begin(); fold != folds_.end();) {
    if (now < fold->second.until) {
      ++fold;
      continue;
    }
    write_count(fold->second);
    fold = folds_.erase(fold);
  }
}

void Recorder::write_all_counts() {
  for (const auto& [key, fold] : folds_) write_count(fold);
  folds_.clear();
}

void Recorder::write_count(const Fold& fold) {
  if (fold.count == 0) return;
  Record record = fold.record;
  record.fields["count"] = fold.count;
  write(fold.flow, record);
}

}  // namespace microagent::mediator
