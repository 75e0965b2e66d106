#pragma once

#include "netstack/environment.h"
#include "netstack/packet.h"
#include "wire/dhcp.h"

namespace microagent::netstack {

// A DHCP server with one lease (RFC 2131): the guest's address, which nobody else can take.
class Dhcp {
 public:
  explicit Dhcp(Environment& environment) : environment_(environment) {}

  // A UDP packet to the server's port.
  void on_packet(Packet& packet);

 private:
  // The guest may keep what it has for a day and then asks again.
  static constexpr std::uint32_t kLeaseSeconds = 86'400;
  static constexpr std::size_t kMaxRequest = 1472;

  void on_request(const wire::DhcpMessage& request);
  void on_inform(const wire::DhcpMessage& request);
  void reply(const wire::DhcpMessage& request, wire::DhcpKind kind, std::uint32_t lease_seconds);

  Environment& environment_;
};

}  // namespace microagent::netstack
