#pragma once

#include <optional>

#include "netstack/environment.h"
#include "netstack/packet.h"
#include "wire/ndp.h"

namespace microagent::netstack {

// Neighbour discovery for IPv6 (RFC 4861): answers for the gateway's two addresses and advertises it as router with its
// prefix, MTU and resolver (RFC 4862, RFC 8106). Learns nothing, as Arp. After the guest has asked once it is told
// again from time to time, since what it was told expires.
class Ndp {
 public:
  explicit Ndp(Environment& environment) : environment_(environment) {}

  static bool is_ndp(const Packet& packet);
  void on_packet(Packet& packet);

  void on_time();
  std::optional<std::uint64_t> next_deadline() const { return next_advertisement_ns_; }

 private:
  static constexpr std::uint16_t kRouterLifetime = 9000;  // seconds, the most there is (RFC 4861, 6.2.1)
  static constexpr std::uint64_t kIntervalNs = 3000'000'000'000;
  static constexpr std::size_t kMaxMessage = 256;

  bool on_solicitation(const Packet& packet, ByteView message);
  bool on_router_solicitation(const Packet& packet, ByteView message);
  void advertise(const wire::IpAddress& to);
  void send(const Output::Addresses& addresses, MutableBytes message);

  Environment& environment_;
  std::optional<std::uint64_t> next_advertisement_ns_;
};

}  // namespace microagent::netstack
