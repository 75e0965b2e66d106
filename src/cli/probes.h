#pragma once

// The prerequisites of a workspace, each probed by doing what will be done.

#include <filesystem>
#include <string>
#include <vector>

#include "base/result.h"

namespace microagent::cli {

struct Check {
  std::string name;
  bool required = true;
  bool passed = false;
  std::string detail;  // what was found, or what is wrong
  std::string remedy;  // only where it did not pass
};

// `state` is the state directory, or why there is none.
std::vector<Check> probe_all(const Result<std::filesystem::path>& state);

}  // namespace microagent::cli
