#pragma once

#include <filesystem>

#include "base/result.h"

namespace microagent::image {

// What every guest boots from.
struct GuestFiles {
  std::filesystem::path kernel;     // a Linux bzImage or vmlinux
  std::filesystem::path initramfs;  // cpio archive, perhaps compressed: the base image
};

// The kernel and base image of the state directory (<root>/guest), else of the installation the program belongs to
// (<program directory>/../share/microagent/guest). Both come from one place. Kind not_found, with the command that
// makes them, when neither place has both.
Result<GuestFiles> find_guest_files(const std::filesystem::path& state_root,
                                    const std::filesystem::path& program_directory);

}  // namespace microagent::image
