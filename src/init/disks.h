#pragma once

#include <string>
#include <vector>

#include "base/result.h"
#include "wire/guest_config.h"

namespace microagent::init {

// Makes the disk that is the root file system the root, grown to what its device holds, in the place of the initial
// file system. /dev, /proc and /sys go along, and the kernel's modules.
Status enter_root_disk();

// Mounts the volumes where the configuration says.
Status mount_volumes(const std::vector<std::string>& paths);

// So that nothing is left to be mended at the next mount. Everything that writes has ended.
void settle_disks(const std::vector<std::string>& volumes);

}  // namespace microagent::init
