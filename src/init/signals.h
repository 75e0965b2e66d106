#pragma once

#include <functional>
#include <initializer_list>

#include "init/loop.h"

namespace microagent::init {

// Blocks signals for the whole process and tells of them in the loop instead. Children must unblock them again.
class Signals {
 public:
  using OnSignal = std::function<void(int signal)>;
  static Result<Signals> heed(Loop& loop, std::initializer_list<int> signals, OnSignal on_signal);

 private:
  explicit Signals(Fd fd) : fd_(std::move(fd)) {}
  Fd fd_;
};

}  // namespace microagent::init
