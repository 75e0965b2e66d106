#pragma once

#include <sys/uio.h>

#include <cstdint>
#include <span>

#include "netstack/stack.h"
#include "wire/ip_address.h"

namespace microagent::netstack {

// One whole IP packet of the guest: headers validated, fragments joined, source checked.
struct Packet {
  wire::IpAddress source, destination;
  std::uint8_t protocol = 0;   // what the payload is (IANA protocol number)
  std::uint8_t hop_limit = 0;
  // The transport header and what follows it, `bytes` in all; in guest memory, so every header is copied out once before
  // it is looked at. The pieces are the callee's to cut.
  std::span<iovec> payload;
  std::size_t bytes = 0;
  // The guest left the transport checksum to the device (NEEDS_CSUM): there is nothing to verify.
  bool checksum_left_out = false;
  Offload offload;
};

}  // namespace microagent::netstack
