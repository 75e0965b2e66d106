#pragma once

#include <cstdint>
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

// What becomes of the symbolic links on a path.
enum class Links : std::uint8_t {
  beneath,  // they are followed as far as they stay below the directory
  none,     // there must be none: every component is what it is called
};

// open(2) below a directory: whatever lies on the way, the result lies in it too (openat2(2), RESOLVE_BENEATH). With
// O_NOFOLLOW a link as the last component is not followed either. An invalid Fd and errno else: EXDEV for a link that
// leads out, ELOOP for one where there must be none.
Fd open_beneath(int directory, const std::string& path, int flags, Links links = Links::beneath);

}  // namespace microagent::archive
