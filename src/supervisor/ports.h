#pragma once

#include <vector>

#include "base/fd.h"
#include "base/result.h"
#include "workspace/manifest.h"

namespace microagent::supervisor {

// A published port whose host side is ours: a listening TCP or a bound UDP socket, nonblocking.
struct BoundPort {
  workspace::Forward declared;
  workspace::Forward forward;  // with the real host port
  Fd socket;
};

// "127.0.0.1:8080:80/tcp", with brackets around IPv6.
std::string describe(const workspace::Forward& forward);

// Binds all or none. The error names the port, the forward, and who holds the port where that can be told. Nobody
// else can bind a port of ours, address reuse or not.
Result<std::vector<BoundPort>> bind_ports(const std::vector<workspace::Forward>& forwards);

}  // namespace microagent::supervisor
