#pragma once

// A refusal, and everybody who is told of it under one id: the audit record, the guest's 403, the extended error of a
// DNS answer, and the page http://policy.microagent/.

#include <cstdint>
#include <deque>
#include <string>
#include <string_view>

#include "policy/decision.h"

namespace microagent::mediator {

struct Denial {
  std::string id;      // "d42": what the records of the same refusal carry
  std::string host;    // whom it was for: a name, else the address
  std::string reason;  // a word, or a sentence
  std::string rule;    // what decided, and where it was written
  std::string signal;  // empty for none
  bool internal = false;
  std::string name = {};  // what the guest called it, canonical; empty: nothing
};

// A refusal by the policy, without its id.
Denial denial_of(const policy::Decision& decision);
// One of our own making.
Denial denial(std::string reason, std::string rule, policy::Signal signal = policy::Signal::denied);

// The last refusals, for the guest to ask about: only its own.
class RecentDenials {
 public:
  static constexpr std::size_t kKept = 64;

  struct Entry {
    std::string ts, dst, proto;
    Denial denial;
  };

  // What is in here already, by its id and destination, only repeats itself.
  void add(Entry entry);
  const std::deque<Entry>& entries() const { return entries_; }  // the newest first

 private:
  std::deque<Entry> entries_;
};

}  // namespace microagent::mediator
