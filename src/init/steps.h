#pragma once

#include <utility>

#include "base/result.h"

namespace microagent::init {

// Takes steps one after the other, and keeps what was wrong with the first that failed.
class Steps {
 public:
  void take(Status step) {
    if (!step && first_) first_ = std::move(step);
  }
  Status result() && { return std::move(first_); }

 private:
  Status first_;
};

}  // namespace microagent::init
