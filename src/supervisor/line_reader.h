#pragma once

#include <array>
#include <chrono>
#include <string>

#include "base/fd.h"

namespace microagent::supervisor {

// Reads lines from a pipe or a stream socket until a deadline.
class LineReader {
 public:
  using Clock = std::chrono::steady_clock;

  LineReader(Fd fd, Clock::time_point deadline) : fd_(std::move(fd)), deadline_(deadline) {}

  enum class Outcome { line, end, timed_out, interrupted };
  // The next line, without its newline.
  Outcome next(std::string& line);

  // From now on next() gives `interrupted` when this can be read; -1 ends that.
  void heed(int interrupt) { interrupt_ = interrupt; }

  // The descriptor that came along with what was read so far; empty when none did.
  Fd take_passed() { return std::move(passed_); }

 private:
  using Chunk = std::array<char, 4096>;
  Outcome wait() const;
  ssize_t receive(Chunk& chunk);

  Fd fd_;
  Clock::time_point deadline_;
  int interrupt_ = -1;
  std::string buffer_;
  Fd passed_;
};

}  // namespace microagent::supervisor
