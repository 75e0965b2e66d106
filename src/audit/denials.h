#pragma once

// Denials that repeat themselves: the first is a record of its own at once, what follows within a while is counted and
// becomes one more record with a `count`. So a guest that tries the same thing a thousand times a second fills no disk,
// and no denial is missing from the sum.

#include <chrono>
#include <cstdint>
#include <functional>
#include <list>
#include <map>
#include <string>
#include <string_view>

#include "audit/writer.h"

namespace microagent::audit {

class Denials {
 public:
  using Time = std::chrono::steady_clock::time_point;

  static constexpr std::chrono::seconds kWindow{10};
  static constexpr std::size_t kMaxKinds = 1024;  // that are counted at once

  // `writer` must outlive this. `new_id` gives a decision id that no other record has.
  Denials(Writer& writer, std::function<std::string()> new_id) : writer_(writer), new_id_(std::move(new_id)) {}

  // Writes or counts a denial; the decision id that the guest is told, which is that of the record it is counted with.
  // Denials are of one kind when they differ in `src` and `id` alone. Kinds that are about the same `subject` share the
  // id while one of them is counted: a name that is refused to a question and then to a request is refused by one
  // decision. `fields` gets `decision` as its last. Fails when the record cannot be written; the guest is denied all
  // the same.
  Result<std::string> record(Event event, Fields fields, Time now, const std::string& subject = {});

  // Writes the counts whose window is over. To be called when deadline() comes, and before the log is closed with
  // Time::max().
  Status flush(Time now);
  // Time::max() where nothing is counted.
  Time deadline() const;

 private:
  struct Kind {
    Event event{};
    Fields fields;
    std::string id;
    std::string subject;  // empty: of its own
    std::uint64_t repeats = 0;
    Time until;
  };
  using Kinds = std::list<std::pair<std::string, Kind>>;  // by key, in the order of their ends

  struct Subject {
    std::string id;
    std::size_t kinds = 0;  // that are counted
  };

  std::string id_for(const std::string& subject);
  Status end_first();
  void leave(const std::string& subject);

  Writer& writer_;
  std::function<std::string()> new_id_;
  Kinds kinds_;
  std::map<std::string, Kinds::iterator, std::less<>> by_key_;
  std::map<std::string, Subject, std::less<>> subjects_;
};

}  // namespace microagent::audit
