#pragma once

#include <memory>
#include <string>
#include <unordered_set>
#include <vector>

#include "supervisor/datagrams.h"
#include "supervisor/netd_link.h"
#include "supervisor/ports.h"

namespace microagent::supervisor {

// The host side of published ports: who comes is handed to netd, which carries him to the guest. While netd is too busy
// to take him, nobody else is accepted. Must outlive its event loop's run.
class Publisher {
 public:
  Publisher(asio::any_io_executor executor, NetdLink& netd) : executor_(std::move(executor)), netd_(netd) {}

  Status publish(BoundPort port);

  // Gives every port back to the host.
  void close();

 private:
  struct Port {
    Port(std::uint16_t to, Descriptor from) : guest_port(to), socket(std::move(from)) {}
    std::uint16_t guest_port;
    Descriptor socket;
    std::unordered_set<std::string> conversations;  // UDP: those that netd carries
  };

  asio::awaitable<void> accept_connections(Port& port);
  asio::awaitable<bool> hand_over(Port& port, Fd connection, const SocketAddress& peer);
  asio::awaitable<void> take_datagrams(Port& port);
  asio::awaitable<void> begin_conversation(Port& port, const Datagram& datagram, std::vector<Datagram>& strays);

  asio::any_io_executor executor_;
  NetdLink& netd_;
  std::vector<std::unique_ptr<Port>> ports_;
};

}  // namespace microagent::supervisor
