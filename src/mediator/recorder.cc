#include "mediator/recorder.h"

#include <fmt/format.h>

namespace microagent::mediator {
namespace {

// A name and what speaks against it: one decision, whoever asks in which protocol.
std::string subject_of(const Denial& denial) {
  return denial.name.empty() ? "" : fmt::format("{}\n{}\n{}", denial.name, denial.reason, denial.rule);
}

}  // namespace

Recorder::Recorder(audit::Writer log)
    : log_(std::move(log)), denials_(log_, [this] { return fmt::format("d{}", new_flow()); }) {
  log_.set_on_flushed([this](bool written) {
    for (Waiting& one : waiting_) {
      if (!one.written) one.written = written;
    }
  });
}

// Nobody who waits is there any more.
Recorder::~Recorder() {
  waiting_.clear();
  flush();
}

bool Recorder::write(std::uint64_t flow, const Record& record) {
  const Status status = log_.write(record.event, flow, record.fields);
  if (!status) warnings_.warn(status.error().message);
  return status.has_value();
}

void Recorder::write_later(std::uint64_t flow, const Record& record) {
  if (!on_later_) return void(write(flow, record));
  const bool first = !log_.has_later();
  const Status status = log_.write_later(record.event, flow, record.fields);
  if (!status) warnings_.warn(status.error().message);
  if (first && log_.has_later()) on_later_();
}

void Recorder::write_then(std::uint64_t flow, const Record& record, std::function<void(bool written)> done) {
  if (!on_later_) return done(write(flow, record));
  const Status status = log_.write_later(record.event, flow, record.fields);
  if (!status) warnings_.warn(status.error().message);
  // Whoever waits hears of it in a turn of its own, and not from within what it is at.
  if (waiting_.empty()) on_later_();
  const bool waits = status && log_.has_later();
  const std::optional<bool> written = waits ? std::nullopt : std::optional(status.has_value());
  waiting_.push_back({std::move(done), written});
}

void Recorder::flush() {
  if (const Status status = log_.flush(); !status) warnings_.warn(status.error().message);
  std::vector<Waiting> waiting;
  std::swap(waiting, waiting_);
  for (const Waiting& one : waiting) one.done(one.written.value_or(false));
}

bool Recorder::can_write() {
  const Status status = log_.tell_unwritten();
  if (!status) warnings_.warn(status.error().message);
  return status.has_value();
}

bool Recorder::refuse(Denial& denial, std::string_view dst, std::string_view proto, const Record& record) {
  ++denial_count_;
  const auto id = denials_.record(record.event, record.fields, std::chrono::steady_clock::now(), subject_of(denial));
  if (!id) {
    warnings_.warn(id.error().message);
    return false;
  }
  denial.id = *id;
  recent_.add({utc_timestamp(), std::string(dst), std::string(proto), denial});
  return true;
}

bool Recorder::write_or_count(const std::string& key, std::uint64_t flow, const std::function<Record()>& make) {
  const Time now = std::chrono::steady_clock::now();
  const auto found = kinds_.find(key);
  if (found != kinds_.end() && now < found->second.until) {
    ++found->second.count;
    return true;
  }
  if (found != kinds_.end()) {
    write_count(found->second);
    kinds_.erase(found);
  }
  Kind kind{flow, make(), 0, now + kWindow};
  if (!write(flow, kind.record)) return false;
  if (kinds_.size() < kMaxKinds) kinds_.emplace(key, std::move(kind));
  return true;
}

void Recorder::write_counts(Time now) {
  if (!can_write()) return;
  if (const Status flushed = denials_.flush(now); !flushed) warnings_.warn(flushed.error().message);
  for (auto kind = kinds_.begin(); kind != kinds_.end();) {
    if (now < kind->second.until) {
      ++kind;
      continue;
    }
    write_count(kind->second);
    kind = kinds_.erase(kind);
  }
}

void Recorder::write_all_counts() { write_counts(Time::max()); }

void Recorder::write_count(const Kind& kind) {
  if (kind.count == 0) return;
  Record record = kind.record;
  record.fields["count"] = kind.count;
  write(kind.flow, record);
}

}  // namespace microagent::mediator
