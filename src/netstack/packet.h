#pragma once

#include <sys/uio.h>

#include <array>
#include <cstdint>
#include <span>

#include "base/bytes.h"
#include "netstack/stack.h"
#include "wire/ip_address.h"

namespace microagent::netstack {

// Of one frame; of more, none is taken.
inline constexpr std::size_t kMaxFramePieces = 1024;

// One whole IP packet of the guest: headers validated, fragments joined, source checked. (The source is the guest's own
// address, or its 127.0.0.1 where it answers a flow that was dialled there: such a packet must never open a flow.)
struct Packet {
  wire::IpAddress source, destination;
  std::uint8_t protocol = 0;  // what the payload is (IANA protocol number)
  std::uint8_t hop_limit = 0;
  // The transport header and what follows it, `bytes` in all; in guest memory, so every header is copied out once
  // before it is looked at. The pieces are the callee's to cut; the memory they name stays valid until Stack::flush().
  std::span<iovec> payload;
  std::size_t bytes = 0;
  // The guest left the transport checksum to the device (NEEDS_CSUM): there is nothing to verify.
  bool checksum_left_out = false;
  // IPv4: the guest forbids to fragment it on the way. IPv6: always, but for what came in fragments itself.
  bool dont_fragment = false;
  // The packet lies in memory that is used again after the call (a joined datagram).
  bool short_lived = false;
  Offload offload;
  // Our copy of the IP header: IPv4 with its options, IPv6 without its extension headers.
  ByteView network_header;
};

// Whether the packet is an ICMP or ICMPv6 echo request. Before the payload is cut.
bool is_echo_request(const Packet& packet);

// Whether the checksum of a TCP, UDP, ICMP or ICMPv6 packet holds, or there is none to verify. Before the payload is
// cut.
bool checksum_ok(const Packet& packet);

// The front of a packet of the guest, kept for the ICMP error that may have to be sent about it later: the IP header
// and at least 8 bytes behind it, by which the guest's kernel finds the socket.
struct Quote {
  static constexpr std::size_t kMaxBytes = 60 + 8;

  std::array<std::uint8_t, kMaxBytes> bytes{};
  std::uint8_t size = 0;

  ByteView view() const { return ByteView(bytes).first(size); }
};

// Before the payload is cut.
Quote quote_of(const Packet& packet);

}  // namespace microagent::netstack
