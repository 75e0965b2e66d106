#pragma once

#include <chrono>
#include <string>

#include "base/result.h"

namespace microagent::vm {

// Makes a virtual machine of one page and one processor on `node` (/dev/kvm), lets it run four instructions and
// checks what they did, all in a child with a deadline: a device node can be there, open and answer, and still not run
// a guest. The error says which step failed. Interface: Linux, Documentation/virt/kvm/api.rst.
Status try_kvm(const std::string& node, std::chrono::milliseconds deadline);

}  // namespace microagent::vm
