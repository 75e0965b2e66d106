#pragma once

#include "netstack/environment.h"
#include "netstack/packet.h"
#include "wire/dhcp6.h"

namespace microagent::netstack {

// A DHCPv6 server with one address and one resolver (RFC 8415), beside the router advertisements.
class Dhcp6 {
 public:
  explicit Dhcp6(Environment& environment) : environment_(environment) {}

  // A UDP packet to the server's port.
  void on_packet(Packet& packet);

 private:
  static constexpr std::size_t kMaxRequest = 1452;

  void reply(const wire::IpAddress& to, const wire::Dhcp6Message& request);

  Environment& environment_;
};

}  // namespace microagent::netstack
