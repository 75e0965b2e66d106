#include "supervisor/journal.h"

#include "base/clock.h"

namespace microagent::supervisor {

Status Journal::enter(workspace::State state, std::string detail, std::string reason) {
  record_.state = state;
  record_.detail = std::move(detail);
  record_.reason = std::move(reason);
  record_.observed_at = utc_timestamp();
  if (Status saved = save(); !saved) return saved;
  return store_.append_event(name_, {state, record_.detail, record_.observed_at, record_.reason});
}

Status Journal::note(std::string detail, std::string reason) {
  return tell({record_.state, std::move(detail), utc_timestamp(), std::move(reason)});
}

Status Journal::tell(const workspace::Event& event) const {
  if (Status saved = save(); !saved) return saved;
  return store_.append_event(name_, event);
}

Status Journal::save() const { return store_.save_runtime(name_, record_); }

void Journal::set_signal(const std::string& name, bool ready, std::string detail, std::string error) {
  record_.readiness[name] = {ready, utc_timestamp(), std::move(detail), std::move(error)};
}

}  // namespace microagent::supervisor
