#include "supervisor/ports.h"

#include <fmt/format.h>
#include <netinet/in.h>
#include <sys/socket.h>

#include <cerrno>

#include "supervisor/port_holder.h"
#include "supervisor/sockets.h"

namespace microagent::supervisor {
namespace {

using workspace::Forward;
using workspace::Transport;

bool set(int socket, int level, int option) {
  const int on = 1;
  return ::setsockopt(socket, level, option, &on, sizeof on) == 0;
}

bool prepare(int socket, const SocketAddress& address, Transport protocol) {
  const bool v6 = address.family() == AF_INET6;
  if (v6 && !set(socket, IPPROTO_IPV6, IPV6_V6ONLY)) return false;
  // A port that only waits out old connections (TIME_WAIT) is free. For UDP the option would let others in.
  if (protocol == Transport::tcp) return set(socket, SOL_SOCKET, SO_REUSEADDR);
  // Datagrams tell which of our addresses they were sent to.
  return v6 ? set(socket, IPPROTO_IPV6, IPV6_RECVPKTINFO) : set(socket, IPPROTO_IP, IP_PKTINFO);
}

tl::unexpected<Error> taken(const Forward& forward) {
  const auto holder = find_port_holder(forward.protocol, forward.host_port);
  return fail(ErrorKind::conflict,
              fmt::format("port {} of {} is taken{}: cannot publish {}", forward.host_port, forward.host,
                          holder ? " by " + *holder : "", describe(forward)),
              "stop what holds it, or publish another host port (0 takes a free one)");
}

tl::unexpected<Error> cannot_bind(const Forward& forward, int error) {
  const std::string what = describe(forward);
  if (error == EADDRINUSE) return taken(forward);
  if (error == EACCES) {
    return fail(ErrorKind::permanent,
                fmt::format("port {} is privileged and not for this user: cannot publish {}", forward.host_port, what),
                "publish a host port from 1024 on, or lower net.ipv4.ip_unprivileged_port_start");
  }
  if (error == EADDRNOTAVAIL || error == EAFNOSUPPORT) {
    return fail(ErrorKind::permanent, fmt::format("this host has no address {}: cannot publish {}", forward.host, what),
                "publish on an address of this host, such as 127.0.0.1 or 0.0.0.0");
  }
  return fail_errno(error, fmt::format("cannot publish {}", what));
}

Result<BoundPort> bind_port(const Forward& forward) {
  const auto address = parse_socket_address(forward.host, forward.host_port);
  if (!address) {
    return fail(ErrorKind::usage, fmt::format("{}: \"{}\" is not an IP address", describe(forward), forward.host));
  }
  const bool tcp = forward.protocol == Transport::tcp;
  const int type = (tcp ? SOCK_STREAM : SOCK_DGRAM) | SOCK_CLOEXEC | SOCK_NONBLOCK;
  BoundPort port{forward, forward, Fd(::socket(address->family(), type, 0))};
  if (!port.socket || !prepare(port.socket.get(), *address, forward.protocol) ||
      ::bind(port.socket.get(), address->get(), address->size) != 0 ||
      (tcp && ::listen(port.socket.get(), SOMAXCONN) != 0)) {
    return cannot_bind(forward, errno);
  }
  const auto bound = local_address(port.socket.get());
  if (!bound) return fail_errno(errno, fmt::format("cannot publish {}", describe(forward)));
  port.forward.host_port = bound->port();
  return port;
}

}  // namespace

std::string describe(const Forward& forward) {
  const bool v6 = forward.host.find(':') != std::string::npos;
  return fmt::format("{}{}{}:{}:{}/{}", v6 ? "[" : "", forward.host, v6 ? "]" : "", forward.host_port,
                     forward.guest_port, workspace::to_string(forward.protocol));
}

Result<std::vector<BoundPort>> bind_ports(const std::vector<Forward>& forwards) {
  std::vector<BoundPort> ports;
  for (const Forward& forward : forwards) {
    auto port = bind_port(forward);
    if (!port) return fail(port.error());
    ports.push_back(std::move(*port));
  }
  return ports;
}

}  // namespace microagent::supervisor
