#pragma once

#include <arpa/inet.h>
#include <netinet/in.h>
#include <sys/socket.h>

#include <string>

#include "base/check.h"
#include "base/fd.h"
#include "netstack/testing/frames.h"

// Sockets of the host's side, for tests. All nonblocking.
namespace microagent::netstack::testing {

inline sockaddr_in socket_address(const std::string& address, std::uint16_t port) {
  sockaddr_in out{};
  out.sin_family = AF_INET;
  out.sin_port = htons(port);
  MICROAGENT_CHECK(::inet_pton(AF_INET, address.c_str(), &out.sin_addr) == 1);
  return out;
}

inline Fd bound_udp(const std::string& address, std::uint16_t port = 0) {
  Fd socket(::socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0));
  const sockaddr_in name = socket_address(address, port);
  MICROAGENT_CHECK(::bind(socket.get(), reinterpret_cast<const sockaddr*>(&name), sizeof name) == 0);
  return socket;
}

inline std::uint16_t port_of(const Fd& socket) {
  sockaddr_in name{};
  socklen_t size = sizeof name;
  MICROAGENT_CHECK(::getsockname(socket.get(), reinterpret_cast<sockaddr*>(&name), &size) == 0);
  return ntohs(name.sin_port);
}

inline void connect_to(const Fd& socket, const std::string& address, std::uint16_t port) {
  const sockaddr_in name = socket_address(address, port);
  MICROAGENT_CHECK(::connect(socket.get(), reinterpret_cast<const sockaddr*>(&name), sizeof name) == 0);
}

// The next message; nothing when none waits.
inline std::optional<Bytes> receive_from(const Fd& socket) {
  Bytes bytes(70'000);
  const ssize_t size = ::recv(socket.get(), bytes.data(), bytes.size(), MSG_DONTWAIT);
  if (size < 0) return std::nullopt;
  bytes.resize(static_cast<std::size_t>(size));
  return bytes;
}

inline bool send_to(const Fd& socket, ByteView bytes) {
  return ::send(socket.get(), bytes.data(), bytes.size(), MSG_DONTWAIT | MSG_NOSIGNAL) ==
         static_cast<ssize_t>(bytes.size());
}

inline int option_of(int socket, int level, int option) {
  int value = -1;
  socklen_t size = sizeof value;
  MICROAGENT_CHECK(::getsockopt(socket, level, option, &value, &size) == 0);
  return value;
}

}  // namespace microagent::netstack::testing
