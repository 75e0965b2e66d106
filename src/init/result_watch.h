#pragma once

#include <functional>
#include <memory>

#include "init/loop.h"

namespace microagent::init {

// Tells, once, when a file of this name has been written in a directory, or moved there: when its writer has closed it.
class ResultWatch {
 public:
  // `path` as wire::kResultPath; its directory is made.
  static Result<ResultWatch> open(Loop& loop, const std::string& path, std::function<void()> on_written);

 private:
  explicit ResultWatch(Fd events) : events_(std::move(events)) {}
  Fd events_;
};

}  // namespace microagent::init
