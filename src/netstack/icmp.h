#pragma once

#include <array>

#include "netstack/environment.h"
#include "netstack/icmp_errors.h"
#include "netstack/packet.h"
#include "wire/icmp.h"

namespace microagent::netstack {

// An ICMP error that the guest sent about a packet of ours.
struct GuestError {
  IcmpError error;
  std::uint8_t protocol = 0;
  wire::IpAddress from, to;  // the addresses of our packet; `to` is the guest
  ByteView quoted;           // the first bytes behind its IP header, at least 8
  bool unreachable = false;  // nobody is there, as opposed to "too big" and "too far"
};

// ICMP and ICMPv6: answers echo requests to the gateway, sorts out the rest.
class Icmp {
 public:
  // What became of a message.
  enum class Kind : std::uint8_t { done, echo_elsewhere, error };

  explicit Icmp(Environment& environment) : environment_(environment) {}

  // `to_gateway`: the packet is addressed to the gateway itself. With Kind::error `error` is filled in; its quote is
  // good until the next call.
  Kind on_packet(Packet& packet, bool to_gateway, GuestError& error);

 private:
  static constexpr std::size_t kMaxQuoted = sizeof(wire::IcmpHeader) + Quote::kMaxBytes;

  void answer_echo(Packet& packet);

  Environment& environment_;
  std::array<std::uint8_t, kMaxQuoted> message_{};
};

}  // namespace microagent::netstack
