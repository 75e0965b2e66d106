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
  // Gives a port back to the host; connections that came through it go on.
  void unpublish(const workspace::Forward& declared);
  // What is published, in the order in which it came.
  struct Published {
    workspace::Forward declared, real;
  };
  std::vector<Published> published() const;

  // Gives every port back to the host.
  void close();

 private:
  struct Port {
    Port(Published which, Descriptor from) : forward(std::move(which)), socket(std::move(from)) {}
    std::uint16_t guest_port() const { return forward.real.guest_port; }
    Published forward;
    Descriptor socket;
    std::unordered_set<std::string> conversations;  // UDP: those that netd carries
  };

  // Held by those who wait for its socket, too: it may be unpublished meanwhile.
  using PortPtr = std::shared_ptr<Port>;

  asio::awaitable<void> accept_connections(PortPtr port);
  asio::awaitable<bool> hand_over(const Port& port, Fd connection, const SocketAddress& peer);
  asio::awaitable<void> take_datagrams(PortPtr port);
  asio::awaitable<void> begin_conversation(PortPtr port, const Datagram& datagram, std::vector<Datagram>& strays);

  asio::any_io_executor executor_;
  NetdLink& netd_;
  std::vector<PortPtr> ports_;
};

}  // namespace microagent::supervisor
