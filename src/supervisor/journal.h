#pragma once

#include <string>

#include "workspace/state.h"

namespace microagent::supervisor {

// The workspace's record on disk: runtime.json, and one line of events.jsonl per state.
class Journal {
 public:
  // The store must outlive the journal.
  Journal(const workspace::Store& store, std::string name) : store_(store), name_(std::move(name)) {}

  workspace::Runtime& record() { return record_; }
  const workspace::Runtime& record() const { return record_; }

  // Enters a state and writes both files.
  Status enter(workspace::State state, std::string detail, std::string reason = {});
  // Tells of something that changes no state.
  Status note(std::string detail, std::string reason);
  // The same of something that happened before, and could not be told then.
  Status tell(const workspace::Event& event) const;
  // Writes what has changed in the record.
  Status save() const;

  void set_signal(const std::string& name, bool ready, std::string detail = {}, std::string error = {});

 private:
  const workspace::Store& store_;
  std::string name_;
  workspace::Runtime record_;
};

}  // namespace microagent::supervisor
