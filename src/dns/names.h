#pragma once

#include <cstdint>
#include <string>
#include <string_view>

#include "dns/message.h"

namespace microagent::dns {

// The longest name on the wire, its closing zero included (RFC 1035, 2.3.4).
inline constexpr std::size_t kMaxName = 255;

// An uncompressed name as text without the final dot ("." for the root), bytes that are not letters, digits, '-' or '_'
// as \DDD (RFC 1035, 5.1): printable ASCII whatever a guest puts into it. `wire` must be a name that was parsed before.
std::string name_text(ByteView wire);

// The uncompressed wire form of a canonical name (policy/host.h), which has no escapes.
Bytes wire_name(std::string_view name);

// "A", "AAAA", "HTTPS"; types without a common name as RFC 3597 writes them, "TYPE4711".
std::string type_text(std::uint16_t type);

// Equal but for the case of ASCII letters (RFC 4343).
bool same_name(ByteView a, ByteView b);

}  // namespace microagent::dns
