#include "base/check.h"

#include <cstdio>
#include <cstdlib>

namespace microagent {

void check_failed(const char* condition, const char* file, int line) noexcept {
  std::fprintf(stderr, "microagent: internal error: %s (%s:%d)\n", condition, file, line);
  std::abort();
}

}  // namespace microagent
