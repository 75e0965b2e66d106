#pragma once

// A service of the host that the user named, such as the mediation channel's target: no policy judges it.

#include <cstdint>
#include <string>
#include <tl/expected.hpp>

#include "mediator/dial.h"

namespace microagent::mediator {

struct HostTarget {
  std::string host;  // an IP literal without brackets, or a name, looked up at each dial
  std::uint16_t port = 0;
  std::string path;  // of a Unix socket, when not empty; then there is no host
};

enum class Delivery { stream, packets };

// A connected, nonblocking, close-on-exec socket. All addresses of a name are tried in the resolver's order. `packets`
// asks for a SOCK_SEQPACKET socket, which only a Unix target can be.
asio::awaitable<tl::expected<Fd, DialError>> dial_host(HostTarget target, Delivery delivery, Deadline deadline);

}  // namespace microagent::mediator
