#pragma once

// Who holds a port that cannot be bound, found in /proc as far as this user may look.

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "workspace/manifest.h"

namespace microagent::supervisor {

// One row of /proc/net/{tcp,udp,tcp6,udp6} (Linux, Documentation/networking/proc_net_tcp.rst).
struct SocketRow {
  std::uint16_t port = 0;
  std::string address;  // hexadecimal, as the kernel prints it
  bool listening = false;
  std::uint64_t inode = 0;
};

// The rows of a table; lines that are none are left out.
std::vector<SocketRow> parse_socket_table(std::string_view table);

// "nginx (process 123)", or "a process of another user"; nothing when no socket on that port is seen.
std::optional<std::string> find_port_holder(workspace::Transport protocol, std::uint16_t port);

}  // namespace microagent::supervisor
