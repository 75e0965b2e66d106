#include "mediator/denial.h"

#include <algorithm>

namespace microagent::mediator {

Denial denial_of(const policy::Decision& decision) {
  Denial denial;
  denial.host = decision.host;
  denial.reason = policy::to_string(decision.reason);
  denial.rule = decision.text;
  denial.signal = policy::to_string(decision.signal);
  denial.internal = decision.reason == policy::Reason::inside;
  return denial;
}

Denial denial(std::string reason, std::string rule, policy::Signal signal) {
  Denial made;
  made.reason = std::move(reason);
  made.rule = std::move(rule);
  made.signal = policy::to_string(signal);
  return made;
}

void RecentDenials::add(Entry entry) {
  const auto same = [&](const Entry& known) {
    return known.denial.id == entry.denial.id && known.dst == entry.dst && known.proto == entry.proto;
  };
  if (std::ranges::any_of(entries_, same)) return;
  entries_.push_front(std::move(entry));
  if (entries_.size() > kKept) entries_.pop_back();
}

}  // namespace microagent::mediator
