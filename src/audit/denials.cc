#include "audit/denials.h"

namespace microagent::audit {
namespace {

std::string key_of(Event event, const Fields& fields) {
  std::string key(to_string(event));
  for (const auto& [name, value] : fields.items()) {
    if (name == "src" || name == "id") continue;
    key.append("\n").append(name).append("=").append(value.dump(-1, ' ', true, Fields::error_handler_t::replace));
  }
  return key;
}

}  // namespace

Result<std::string> Denials::record(Event event, Fields fields, Time now, const std::string& subject) {
  if (Status flushed = flush(now); !flushed) return fail(flushed.error());
  // The connection that it is on, for which it is no other denial.
  const std::uint64_t flow = fields.value("flow", std::uint64_t{0});
  fields.erase("flow");
  std::string key = key_of(event, fields);
  if (const auto known = by_key_.find(key); known != by_key_.end()) {
    Kind& kind = known->second->second;
    ++kind.repeats;
    return kind.id;
  }
  if (kinds_.size() >= kMaxKinds) {
    if (Status ended = end_first(); !ended) return fail(ended.error());
  }
  std::string id = id_for(subject);
  fields["decision"] = id;
  if (Status written = writer_.write(event, flow != 0 ? flow : writer_.new_flow(), fields); !written)
    return fail(written.error());
  if (!subject.empty()) {
    Subject& known = subjects_[subject];
    known.id = id;
    ++known.kinds;
  }
  kinds_.emplace_back(key, Kind{event, std::move(fields), id, subject, 0, now + kWindow});
  by_key_.emplace(std::move(key), std::prev(kinds_.end()));
  return id;
}

std::string Denials::id_for(const std::string& subject) {
  const auto known = subjects_.find(subject);
  return known == subjects_.end() ? new_id_() : known->second.id;
}

void Denials::leave(const std::string& subject) {
  const auto known = subjects_.find(subject);
  if (known != subjects_.end() && --known->second.kinds == 0) subjects_.erase(known);
}

Status Denials::flush(Time now) {
  while (!kinds_.empty() && kinds_.front().second.until <= now) {
    if (Status ended = end_first(); !ended) return ended;
  }
  return {};
}

Denials::Time Denials::deadline() const { return kinds_.empty() ? Time::max() : kinds_.front().second.until; }

Status Denials::end_first() {
  Kind& kind = kinds_.front().second;
  if (kind.repeats > 0) {
    kind.fields.erase("src");
    kind.fields.erase("id");
    kind.fields["count"] = kind.repeats;
    if (Status written = writer_.write(kind.event, 0, kind.fields); !written) return written;
  }
  leave(kind.subject);
  by_key_.erase(kinds_.front().first);
  kinds_.pop_front();
  return {};
}

}  // namespace microagent::audit
