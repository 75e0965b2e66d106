#pragma once

// One meaning of a host name. Whatever a user, a TLS client or an HTTP client calls a host becomes either one canonical
// name or an IP address, or is refused; nothing is compared before it went through here.

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <variant>

#include "base/result.h"
#include "policy/address.h"

namespace microagent::policy {

// The longest name without its final dot (RFC 1035, 2.3.4).
inline constexpr std::size_t kMaxHostName = 253;

// A canonical name, or an address. A name is in lower case and A-labels (IDNA 2008 with the mapping of UTS 46), of
// letters, digits, '-' and '_', without its final dot.
using Host = std::variant<std::string, Address>;

// Reads a name, an IPv4 literal (four decimal octets) or an IPv6 literal with or without brackets. Mapped IPv6 becomes
// the IPv4 address that it is. Refused, since other programs would read an address out of them or cut them elsewhere:
// 127.1, 0x7f.1, 2130706433, zone ids, '%', NUL, spaces, and every name whose last label is a number. Kind usage; the
// message says why and does not repeat the text.
Result<Host> parse_host(std::string_view text);

// The canonical name, or nothing where parse_host() refuses or finds an address.
std::optional<std::string> canonical_name(std::string_view text);

// HOST or HOST:PORT as `Host` and `:authority` carry it; IPv6 needs its brackets here.
struct Authority {
  Host host;
  std::optional<std::uint16_t> port;
};
Result<Authority> parse_authority(std::string_view text);

// For records: the name, or the address without brackets.
std::string to_string(const Host& host);

// The name without its first label: "b.c" of "a.b.c", empty behind the last.
std::string_view parent_name(std::string_view name);

}  // namespace microagent::policy
