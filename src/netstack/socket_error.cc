#include "netstack/socket_error.h"

#include <cerrno>

#include "wire/icmp.h"

namespace microagent::netstack {
namespace {

// Of all that a router or host can say, what concerns a datagram.
bool may_pass(const SocketError& error, Family family) {
  if (family == Family::ipv4) return error.type == wire::kIcmpUnreachable || error.type == wire::kIcmpTimeExceeded;
  return error.type == wire::kIcmpv6Unreachable || error.type == wire::kIcmpv6TimeExceeded;
}

std::optional<Refusal> refusal_of(int error_number) {
  switch (error_number) {
    case ECONNREFUSED: return Refusal::port_unreachable;
    case ENETUNREACH:
    case ENETDOWN: return Refusal::net_unreachable;
    case EHOSTUNREACH:
    case EHOSTDOWN: return Refusal::host_unreachable;
    case EACCES:
    case EPERM: return Refusal::admin_prohibited;
    default: return std::nullopt;
  }
}

}  // namespace

std::optional<IcmpError> icmp_error_for(const SocketError& error, Family family, std::uint16_t link_mtu) {
  if (error.error_number == EMSGSIZE) {
    if (error.mtu == 0 || error.mtu >= link_mtu) return std::nullopt;
    return too_big(error.mtu, family);
  }
  if (error.from && error.from->family == family && may_pass(error, family)) return IcmpError{error.type, error.code};
  const auto refusal = refusal_of(error.error_number);
  return refusal ? std::optional(error_of(*refusal, family)) : std::nullopt;
}

}  // namespace microagent::netstack
