#pragma once

// The Internet checksum (RFC 1071): the complement of the one's complement sum of big-endian 16-bit words.

#include <sys/uio.h>

#include <cstdint>
#include <span>

#include "base/bytes.h"
#include "wire/ip_address.h"

namespace microagent::wire {

// A sum under way; takes bytes piece by piece, whatever their lengths.
class Checksum {
 public:
  void add(ByteView bytes);
  void add(std::span<const iovec> pieces);

  // The sum folded to 16 bits, not complemented: what VIRTIO calls a partial checksum. Host order.
  std::uint16_t partial() const;
  // What the checksum field holds. Host order. Over a packet whose field is in place it is 0.
  std::uint16_t value() const { return static_cast<std::uint16_t>(~partial()); }

 private:
  std::uint64_t sum_ = 0;
  bool odd_ = false;  // an odd number of bytes so far
};

// The pseudo header of TCP, UDP and ICMPv6 (RFC 9293, 3.1; RFC 8200, 8.1). Both addresses of one family.
Checksum pseudo_header(const IpAddress& source, const IpAddress& destination, std::uint8_t protocol,
                       std::size_t transport_bytes);

}  // namespace microagent::wire
