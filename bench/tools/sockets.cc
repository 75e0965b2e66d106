#include "sockets.h"

#include <arpa/inet.h>
#include <linux/vm_sockets.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <sys/socket.h>

#include <cerrno>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <string>

namespace netpipe {
namespace {

struct SocketAddress {
  sockaddr_storage storage{};
  socklen_t size = 0;
  const sockaddr* get() const { return reinterpret_cast<const sockaddr*>(&storage); }
};

SocketAddress parse_address(const std::string& text, std::uint16_t port) {
  SocketAddress address;
  auto* ipv4 = reinterpret_cast<sockaddr_in*>(&address.storage);
  auto* ipv6 = reinterpret_cast<sockaddr_in6*>(&address.storage);
  auto* vsock = reinterpret_cast<sockaddr_vm*>(&address.storage);
  if (text == "vsock") {
    vsock->svm_family = AF_VSOCK;
    vsock->svm_cid = VMADDR_CID_HOST;
    vsock->svm_port = port;
    address.size = sizeof *vsock;
  } else if (::inet_pton(AF_INET, text.c_str(), &ipv4->sin_addr) == 1) {
    ipv4->sin_family = AF_INET;
    ipv4->sin_port = htons(port);
    address.size = sizeof *ipv4;
  } else if (::inet_pton(AF_INET6, text.c_str(), &ipv6->sin6_addr) == 1) {
    ipv6->sin6_family = AF_INET6;
    ipv6->sin6_port = htons(port);
    address.size = sizeof *ipv6;
  } else {
    std::fprintf(stderr, "netpipe: %s is no IP address\n", text.c_str());
    std::exit(2);
  }
  return address;
}

int open_socket(const SocketAddress& address, int type) {
  const int socket = ::socket(address.storage.ss_family, type | SOCK_CLOEXEC, 0);
  if (socket < 0) die("socket");
  return socket;
}

void enable(int socket, int level, int option) {
  const int on = 1;
  if (::setsockopt(socket, level, option, &on, sizeof on) != 0) die("setsockopt");
}

}  // namespace

void die(std::string_view what) {
  std::fprintf(stderr, "netpipe: %.*s: %s\n", static_cast<int>(what.size()), what.data(), std::strerror(errno));
  std::exit(1);
}

int listen_at(std::string_view address, std::uint16_t port, int type) {
  const SocketAddress local = parse_address(std::string(address), port);
  const int socket = open_socket(local, type);
  enable(socket, SOL_SOCKET, SO_REUSEADDR);
  // Connections inherit it.
  if (type == SOCK_STREAM) enable(socket, IPPROTO_TCP, TCP_NODELAY);
  if (::bind(socket, local.get(), local.size) != 0) die("bind");
  if (type == SOCK_STREAM && ::listen(socket, SOMAXCONN) != 0) die("listen");
  return socket;
}

int connect_to(std::string_view address, std::uint16_t port, int type) {
  const SocketAddress remote = parse_address(std::string(address), port);
  const int socket = open_socket(remote, type);
  const bool tcp = type == SOCK_STREAM && remote.storage.ss_family != AF_VSOCK;
  if (tcp) enable(socket, IPPROTO_TCP, TCP_NODELAY);
  if (::connect(socket, remote.get(), remote.size) != 0) die("connect");
  return socket;
}

}  // namespace netpipe
