#pragma once

#include <string>

#include "base/fd.h"
#include "base/result.h"

namespace microagent::init {

// For an image with an init of its own, which wants to be process 1: we become a child of it that serves the host. This
// returns in that child, with a descriptor; process 1 waits until be_process_1() is told and then becomes `program`.
Result<Fd> make_way_for(const std::string& program);

// Lets process 1 become the image's init.
void be_process_1(const Fd& way);

// Asks process 1 to switch the machine off: systemd in its own way, others by `signal`, SIGTERM where that is 0.
void ask_process_1_to_end(int signal);

}  // namespace microagent::init
