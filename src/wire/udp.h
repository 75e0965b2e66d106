#pragma once

#include <cstdint>

#include "base/bytes.h"

namespace microagent::wire {

// RFC 768.
struct UdpHeader {
  be16 source_port;
  be16 destination_port;
  be16 length;    // header included
  be16 checksum;  // 0 over IPv4: none was made
};
static_assert(sizeof(UdpHeader) == 8 && alignof(UdpHeader) == 1);

}  // namespace microagent::wire
