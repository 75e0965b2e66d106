#pragma once

#include <functional>

namespace microagent::netstack::testing {

// Runs `body` in a child process with a network of its own: a loopback device of `loopback_mtu` that also has
// 198.51.100.7 and 2001:db8::7, ping sockets for everybody, the right to send raw packets. GoogleTest failures in it
// count. False when this host does not let us have such a network: nothing was run.
[[nodiscard]] bool in_net_namespace(unsigned loopback_mtu, const std::function<void()>& body);

}  // namespace microagent::netstack::testing
