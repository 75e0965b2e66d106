#pragma once

#include <string>
#include <utility>

#include "base/result.h"

namespace microagent::cli {

// One prerequisite of a workspace, and what was found about it.
struct Check {
  std::string name;
  bool required = true;
  bool passed = false;
  std::string detail;  // what was found, or what is wrong
  std::string remedy;  // only where it did not pass
};

inline Check passed(const char* name, bool required, std::string detail) {
  return {name, required, true, std::move(detail), {}};
}

inline Check failed(const char* name, bool required, std::string detail, std::string remedy) {
  return {name, required, false, std::move(detail), std::move(remedy)};
}

inline Check failed(const char* name, bool required, const Error& error) {
  return failed(name, required, error.message, error.remediation);
}

}  // namespace microagent::cli
