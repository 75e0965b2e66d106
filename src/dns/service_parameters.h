#pragma once

// The data of SVCB and HTTPS records (RFC 9460, 2.2): priority, target name, parameters in the order of their keys.

#include <optional>
#include <vector>

#include "dns/message.h"

namespace microagent::dns {

// The same data without the keys for Encrypted ClientHello (RFC 9848, 3), which the mandatory keys name no longer.
// Nothing where it is malformed.
std::optional<Bytes> without_ech(ByteView data);

// The addresses of ipv4hint and ipv6hint, 4 and 16 bytes each, borrowed; none where it is malformed.
std::vector<ByteView> address_hints(ByteView data);

}  // namespace microagent::dns
