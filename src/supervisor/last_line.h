#pragma once

#include <string>
#include <string_view>

namespace microagent::supervisor {

// The last line of a stream that held something, cut to a length fit for a message and made printable. A kernel's panic
// outweighs the trace that the kernel writes behind it.
class LastLine {
 public:
  void feed(std::string_view bytes);

  // The panic, else the line being written when it holds something, else the last whole one.
  const std::string& get() const;

 private:
  void end_line();

  std::string last_, current_, panic_;
  int lines_behind_panic_ = 0;
};

}  // namespace microagent::supervisor
