#pragma once

#include <filesystem>
#include <span>

#include "base/result.h"
#include "image/cpio.h"

namespace microagent::image {

// Writes `destination`, whole or not at all, mode 0600: the base image, then the entries as an archive of their own
// that the kernel unpacks over it. The file can be made again at any time, so it is not synced.
Status write_initrd(const std::filesystem::path& base, std::span<const CpioEntry> entries,
                    const std::filesystem::path& destination);

}  // namespace microagent::image
