#pragma once

#include "base/result.h"

namespace microagent::init {

// The kernel's file systems and the directories that programs expect, and standard descriptors on the console.
Status mount_file_systems();

}  // namespace microagent::init
