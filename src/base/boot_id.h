#pragma once

#include <string>

namespace microagent {

// Which of its lives the host is in (/proc/sys/kernel/random/boot_id); empty where the kernel does not say.
std::string host_boot_id();

}  // namespace microagent
