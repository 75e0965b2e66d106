#pragma once

#include <map>
#include <string>
#include <string_view>

#include "base/result.h"
#include "base/secret.h"

namespace microagent::credentials {

inline constexpr std::size_t kMaxSecret = 16 * 1024;     // http/secret_mask.h covers no longer one
inline constexpr std::size_t kMaxVariables = 60 * 1024;  // all of them, so that a pipe holds them

// The variables of the environment that swaps name, and no others. They come through a pipe: no process beyond the one
// that started the workspace has them in its environment.
class Variables {
 public:
  void set(std::string name, Secret value);
  const Secret* find(std::string_view name) const;
  bool empty() const { return values_.empty(); }

  // NAME=VALUE and a NUL each, to the end of the pipe.
  static Result<Variables> read_from(int fd);

 private:
  std::map<std::string, Secret, std::less<>> values_;
};

}  // namespace microagent::credentials
