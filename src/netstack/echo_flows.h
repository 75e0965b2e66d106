#pragma once

#include "netstack/datagram_flows.h"

namespace microagent::netstack {

// ICMP and ICMPv6 echo between the guest and ping sockets of the host (icmp(7)): one flow an identifier and
// destination. The kernel gives our requests an identifier of its own; towards the guest it is the guest's again.
class EchoFlows final : public DatagramFlows {
 public:
  explicit EchoFlows(Environment& environment);

  // An echo request to somebody else than the gateway, its checksum verified.
  void on_request(Packet& packet);

 private:
  GuestHeader header_for_guest(const DatagramFlow& flow, ByteView head, std::size_t payload_bytes) const override;
  Quote quote_for(const DatagramFlow& flow, const SocketError& error) const override;
  Patience patience_of(const DatagramKey&) const override { return Patience::brief; }
};

}  // namespace microagent::netstack
