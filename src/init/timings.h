#pragma once

#include <cstdint>
#include <string>

namespace microagent::init {

// How long the stages of the boot take; said on the console when the kernel was given the word microagent.timings.
class Timings {
 public:
  Timings();
  void mark(const char* stage);  // it is over
  void say_all() const;

 private:
  std::uint64_t last_ns_;
  std::string text_;
};

}  // namespace microagent::init
