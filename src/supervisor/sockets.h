#pragma once

// Socket addresses, and Unix sockets in directories whose path is too long for sun_path.

#include <sys/socket.h>

#include <cstdint>
#include <filesystem>
#include <optional>
#include <string>

#include "base/fd.h"
#include "base/result.h"
#include "flow/messages.h"

namespace microagent::supervisor {

// An IPv4 or IPv6 socket address.
struct SocketAddress {
  sockaddr_storage storage{};
  socklen_t size = 0;

  const sockaddr* get() const { return reinterpret_cast<const sockaddr*>(&storage); }
  sockaddr* get() { return reinterpret_cast<sockaddr*>(&storage); }
  int family() const { return storage.ss_family; }
  std::uint16_t port() const;
  void set_port(std::uint16_t port);
};

// `host` is an IP literal without brackets.
std::optional<SocketAddress> parse_socket_address(const std::string& host, std::uint16_t port);
std::optional<SocketAddress> local_address(int socket);
// Whether the host knows a way to the internet by IPv6. Sends nothing.
bool host_has_ipv6();
flow::Endpoint to_endpoint(const SocketAddress& address);

// A directory by descriptor: what is in it has a short path in every process that has the descriptor.
Result<Fd> open_directory(const std::filesystem::path& path);
std::string path_in(int directory, std::string_view name);  // /proc/self/fd/<directory>/<name>

// A listening socket `name` in the directory, in place of any older one; nonblocking.
Result<Fd> listen_in(int directory, const char* name);
Result<Fd> connect_in(int directory, const char* name);

}  // namespace microagent::supervisor
