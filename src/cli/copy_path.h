#pragma once

#include <string>
#include <string_view>
#include <variant>

#include "base/result.h"

namespace microagent::cli {

// The two kinds of ends that a copy has, besides "-" for a tar stream.
struct GuestPath {
  std::string workspace;
  std::string path;  // absolute
};
struct HostPath {
  std::string path;  // "-": standard input or output
  bool is_stream() const { return path == "-"; }
};
using CopyPath = std::variant<HostPath, GuestPath>;

// NAME:PATH is a guest's; everything else is the host's: a path with a colon in it can be written ./a:b.
CopyPath parse_copy_path(std::string_view text);

struct Copy {
  GuestPath guest;
  HostPath host;
  bool to_guest = false;
};

// From one to the other. Exactly one must be a guest's. Kind usage.
Result<Copy> plan_copy(std::string_view source, std::string_view destination);

}  // namespace microagent::cli
