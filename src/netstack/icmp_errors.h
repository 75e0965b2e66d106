#pragma once

#include <cstdint>
#include <optional>

#include "netstack/environment.h"
#include "netstack/packet.h"

namespace microagent::netstack {

// What an ICMP or ICMPv6 error says.
struct IcmpError {
  std::uint8_t type = 0;
  std::uint8_t code = 0;
  std::uint32_t rest = 0;  // the MTU of "too big"
};

using Family = wire::IpAddress::Family;

// A reset has no word of its own in ICMP: it is said as an unreachable port.
IcmpError error_of(Refusal refusal, Family family);
IcmpError too_big(std::uint32_t mtu, Family family);
IcmpError time_exceeded(std::uint8_t code, Family family);

// Sends ICMP errors about packets of the guest, at a bounded rate (RFC 1812, 4.3.2.8): a guest that provokes them gets
// some of them.
class IcmpErrors {
 public:
  static constexpr std::uint64_t kPerSecond = 1000;
  static constexpr std::uint64_t kBurst = 256;
  // What a quote may make of the whole error (RFC 1812, 4.3.2.3; RFC 4443, 2.4).
  static constexpr std::size_t kMaxPacket4 = 576;
  static constexpr std::size_t kMaxPacket6 = 1280;

  explicit IcmpErrors(Environment& environment) : environment_(environment) {}

  // False when the rate is used up or the guest has no room; then nothing is sent, ever.
  bool send(const Quote& quote, Refusal refusal);
  // `from` is who says it, the gateway when nothing.
  bool send(const Quote& quote, const IcmpError& error, const std::optional<wire::IpAddress>& from = std::nullopt);
  // About a packet at hand, its payload not yet cut: quotes as much of it as an error may.
  bool send(const Packet& packet, const IcmpError& error);

 private:
  bool take_token();
  bool send_quoted(ByteView quoted, const IcmpError& error, const std::optional<wire::IpAddress>& from);

  Environment& environment_;
  std::uint64_t tokens_ = kBurst;
  std::uint64_t refilled_ns_ = 0;
};

}  // namespace microagent::netstack
