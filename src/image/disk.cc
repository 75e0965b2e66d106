#include "image/disk.h"

#include <fmt/format.h>

#include <algorithm>

#include "image/tool.h"

namespace microagent::image {

namespace fs = std::filesystem;

Status make_overlay(const fs::path& base, const fs::path& disk, std::uint64_t size_mib) {
  constexpr std::uint64_t kMiB = 1024 * 1024;
  std::error_code error;
  const std::uint64_t least = (fs::file_size(base, error) + kMiB - 1) / kMiB;
  if (error) return fail_errno(error.value(), fmt::format("cannot look at {}", base.string()));
  if (size_mib == 0) size_mib = std::max(kDefaultDiskMib, least);
  if (size_mib < least) {
    return fail(ErrorKind::usage, fmt::format("--size: the image needs at least {} MiB, more than {}", least, size_mib),
                fmt::format("give {}MiB or more", least));
  }
  // The base is named as a neighbour, so that the directory may be renamed.
  const auto made = run_tool("qemu-img", {"create", "-q", "-f", "qcow2", "-F", "raw", "-b", base.filename().string(),
                                          disk.string(), fmt::format("{}M", size_mib)});
  if (!made) return fail(made.error());
  return {};
}

}  // namespace microagent::image
