#pragma once

#include <functional>
#include <memory>

#include "init/loop.h"

namespace microagent::init {

// Tells each time a file of this name has been written in a directory, when its writer has closed it, or moved there.
class ResultWatch {
 public:
  // `path` as wire::kResultPath; its directory is made.
  static Result<ResultWatch> open(Loop& loop, const std::string& path, std::function<void()> on_written);

 private:
  explicit ResultWatch(Fd events) : events_(std::move(events)) {}
  Fd events_;
};

}  // namespace microagent::init
