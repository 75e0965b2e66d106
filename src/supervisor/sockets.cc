#include "supervisor/sockets.h"

#include <arpa/inet.h>
#include <fcntl.h>
#include <fmt/format.h>
#include <netinet/in.h>
#include <sys/un.h>
#include <unistd.h>

#include <cerrno>
#include <cstring>

#include "base/check.h"

namespace microagent::supervisor {
namespace {

constexpr int kBacklog = 64;

sockaddr_un unix_address(int directory, const char* name) {
  sockaddr_un address{};
  address.sun_family = AF_UNIX;
  const std::string path = path_in(directory, name);
  MICROAGENT_CHECK(path.size() < sizeof address.sun_path);
  std::memcpy(address.sun_path, path.data(), path.size());
  return address;
}

Fd unix_socket(int flags) { return Fd(::socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | flags, 0)); }

}  // namespace

std::uint16_t SocketAddress::port() const {
  // The port lies at the same place in both families.
  return ntohs(reinterpret_cast<const sockaddr_in&>(storage).sin_port);
}

void SocketAddress::set_port(std::uint16_t port) { reinterpret_cast<sockaddr_in&>(storage).sin_port = htons(port); }

std::optional<SocketAddress> parse_socket_address(const std::string& host, std::uint16_t port) {
  SocketAddress address;
  auto& v4 = reinterpret_cast<sockaddr_in&>(address.storage);
  auto& v6 = reinterpret_cast<sockaddr_in6&>(address.storage);
  if (::inet_pton(AF_INET, host.c_str(), &v4.sin_addr) == 1) {
    v4.sin_family = AF_INET;
    address.size = sizeof v4;
  } else if (::inet_pton(AF_INET6, host.c_str(), &v6.sin6_addr) == 1) {
    v6.sin6_family = AF_INET6;
    address.size = sizeof v6;
  } else {
    return std::nullopt;
  }
  address.set_port(port);
  return address;
}

bool host_has_ipv6() {
  // Of 2000::/3, which is all of the internet's there is. To connect a datagram socket is to look for a route.
  const auto anywhere = parse_socket_address("2001:db8::", 9);
  const Fd socket(::socket(AF_INET6, SOCK_DGRAM | SOCK_CLOEXEC, 0));
  return socket && anywhere && ::connect(socket.get(), anywhere->get(), anywhere->size) == 0;
}

std::optional<SocketAddress> local_address(int socket) {
  SocketAddress address;
  address.size = sizeof address.storage;
  if (::getsockname(socket, address.get(), &address.size) != 0) return std::nullopt;
  return address;
}

flow::Endpoint to_endpoint(const SocketAddress& address) {
  flow::Endpoint endpoint;
  endpoint.port = address.port();
  if (address.family() == AF_INET) {
    endpoint.family = flow::Family::ipv4;
    std::memcpy(endpoint.address.data(), &reinterpret_cast<const sockaddr_in&>(address.storage).sin_addr, 4);
  } else if (address.family() == AF_INET6) {
    endpoint.family = flow::Family::ipv6;
    std::memcpy(endpoint.address.data(), &reinterpret_cast<const sockaddr_in6&>(address.storage).sin6_addr, 16);
  }
  return endpoint;
}

Result<Fd> open_directory(const std::filesystem::path& path) {
  Fd directory(::open(path.c_str(), O_PATH | O_DIRECTORY | O_CLOEXEC));
  if (!directory) return fail_errno(errno, fmt::format("cannot open {}", path.string()));
  return directory;
}

std::string path_in(int directory, std::string_view name) {
  return fmt::format("/proc/self/fd/{}/{}", directory, name);
}

Result<Fd> listen_in(int directory, const char* name) {
  const sockaddr_un address = unix_address(directory, name);
  ::unlinkat(directory, name, 0);
  Fd socket = unix_socket(SOCK_NONBLOCK);
  if (!socket || ::bind(socket.get(), reinterpret_cast<const sockaddr*>(&address), sizeof address) != 0 ||
      ::listen(socket.get(), kBacklog) != 0) {
    return fail_errno(errno, fmt::format("cannot listen on {} in the workspace's directory", name));
  }
  return socket;
}

Result<Fd> connect_in(int directory, const char* name) {
  const sockaddr_un address = unix_address(directory, name);
  Fd socket = unix_socket(0);
  if (!socket || ::connect(socket.get(), reinterpret_cast<const sockaddr*>(&address), sizeof address) != 0) {
    return fail_errno(errno, fmt::format("cannot connect to {} in the workspace's directory", name));
  }
  return socket;
}

}  // namespace microagent::supervisor
