#pragma once

#include <span>

#include "netstack/environment.h"

namespace microagent::netstack {

// Answers for the gateway's address, the only neighbour there is, and for nobody else (RFC 826). Learns nothing: the
// guest's address is configured.
class Arp {
 public:
  explicit Arp(Environment& environment) : environment_(environment) {}

  // What follows the Ethernet header.
  void on_packet(std::span<iovec> pieces, std::size_t bytes);

 private:
  Environment& environment_;
};

}  // namespace microagent::netstack
