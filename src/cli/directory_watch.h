#pragma once

#include <filesystem>

#include "base/fd.h"
#include "base/result.h"

namespace microagent::cli {

// Waits for changes of what lies in a directory.
class DirectoryWatch {
 public:
  static Result<DirectoryWatch> open(const std::filesystem::path& directory);

  // Until something has changed since the last call, or a second has passed: a process that is killed changes no file.
  void wait() const;

 private:
  explicit DirectoryWatch(Fd watch) : watch_(std::move(watch)) {}
  Fd watch_;
};

}  // namespace microagent::cli
