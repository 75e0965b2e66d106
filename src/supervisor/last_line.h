#pragma once

#include <string>
#include <string_view>

namespace microagent::supervisor {

// The last line of a stream that held something, cut to a length fit for a message and made printable.
class LastLine {
 public:
  void feed(std::string_view bytes);

  // The line being written when it holds something, else the last whole one.
  const std::string& get() const { return current_.empty() ? last_ : current_; }

 private:
  std::string last_, current_;
};

}  // namespace microagent::supervisor
