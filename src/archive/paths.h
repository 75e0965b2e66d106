#pragma once

#include <string>
#include <string_view>

#include "base/fd.h"

namespace microagent::archive {

struct SplitPath {
  std::string directory;  // "." where the path has none
  std::string name;       // "." for what names a directory's content: "/", "a/.", "."
};

// Where a path's last component lies, and what it is called. Slashes at the end do not count.
SplitPath split_path(std::string_view path);

// open(2) below a directory: whatever symbolic links lie on the way, the result lies in it too (openat2(2),
// RESOLVE_BENEATH). With O_NOFOLLOW a link as the last component is not followed either. An invalid Fd and errno else.
Fd open_beneath(int directory, const std::string& path, int flags, unsigned mode = 0);

}  // namespace microagent::archive
