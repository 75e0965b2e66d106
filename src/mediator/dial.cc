#include "mediator/dial.h"

#include <netinet/in.h>
#include <netinet/tcp.h>
#include <sys/socket.h>

#include <boost/asio/this_coro.hpp>
#include <cerrno>
#include <cstring>
#include <utility>

namespace microagent::mediator {
namespace {

using Dialled = tl::expected<Fd, DialError>;
using Status = tl::expected<void, DialError>;

struct SocketAddress {
  sockaddr_storage storage{};
  socklen_t size = 0;
  sockaddr* get() { return reinterpret_cast<sockaddr*>(&storage); }
  const sockaddr* get() const { return reinterpret_cast<const sockaddr*>(&storage); }
};

// A ping socket has no port, but with port 0 it has no peer for getpeername(2) either (Linux, inet_getname()).
constexpr std::uint16_t kPingPort = 1;

SocketAddress socket_address(const Target& target) {
  const std::uint16_t port = target.protocol == flow::Protocol::icmp_echo ? kPingPort : target.port;
  SocketAddress address;
  if (target.address.family == policy::Address::Family::ipv4) {
    sockaddr_in ipv4{};
    ipv4.sin_family = AF_INET;
    ipv4.sin_port = htons(port);
    std::memcpy(&ipv4.sin_addr, target.address.bytes.data(), sizeof ipv4.sin_addr);
    std::memcpy(&address.storage, &ipv4, sizeof ipv4);
    address.size = sizeof ipv4;
    return address;
  }
  sockaddr_in6 ipv6{};
  ipv6.sin6_family = AF_INET6;
  ipv6.sin6_port = htons(port);
  ipv6.sin6_scope_id = target.scope;
  std::memcpy(&ipv6.sin6_addr, target.address.bytes.data(), sizeof ipv6.sin6_addr);
  std::memcpy(&address.storage, &ipv6, sizeof ipv6);
  address.size = sizeof ipv6;
  return address;
}

flow::Refusal refusal_for(int error) {
  switch (error) {
    case ECONNREFUSED:
    case ECONNRESET: return flow::Refusal::reset;
    case ENETUNREACH: return flow::Refusal::net_unreachable;
    case EHOSTUNREACH:
    case EHOSTDOWN:
    case ETIMEDOUT: return flow::Refusal::host_unreachable;
    default: return flow::Refusal::admin_prohibited;  // of our own making: permissions, descriptors, memory
  }
}

tl::unexpected<DialError> failed(int error) {
  return tl::unexpected(DialError{refusal_for(error), std::strerror(error)});
}

tl::expected<Fd, DialError> open_socket(const Target& target) {
  const bool ipv4 = target.address.family == policy::Address::Family::ipv4;
  const int family = ipv4 ? AF_INET : AF_INET6;
  const int flags = SOCK_CLOEXEC | SOCK_NONBLOCK;
  if (target.protocol == flow::Protocol::icmp_echo) {
    const int protocol = ipv4 ? int{IPPROTO_ICMP} : int{IPPROTO_ICMPV6};
    Fd ping(::socket(family, SOCK_DGRAM | flags, protocol));
    if (ping) return ping;
    if (errno != EACCES && errno != EPERM) return failed(errno);
    return tl::unexpected(DialError{flow::Refusal::admin_prohibited,
                                    "no ping socket: net.ipv4.ping_group_range leaves this user's groups out"});
  }
  const bool tcp = target.protocol == flow::Protocol::tcp;
  Fd socket(::socket(family, (tcp ? SOCK_STREAM : SOCK_DGRAM) | flags, 0));
  if (!socket) return failed(errno);
  const int on = 1;
  if (tcp && (::setsockopt(socket.get(), IPPROTO_TCP, TCP_NODELAY, &on, sizeof on) != 0 ||
              ::setsockopt(socket.get(), SOL_SOCKET, SO_KEEPALIVE, &on, sizeof on) != 0)) {
    return failed(errno);
  }
  return socket;
}

// 0 once the connection stands, EINPROGRESS (or EALREADY, when asked again), or why it failed.
int connect_now(const Fd& socket, const SocketAddress& address) {
  while (::connect(socket.get(), address.get(), address.size) != 0) {
    if (errno != EINTR) return errno;
  }
  return 0;
}

int pending_error(const Fd& socket) {
  int error = 0;
  socklen_t size = sizeof error;
  return ::getsockopt(socket.get(), SOL_SOCKET, SO_ERROR, &error, &size) == 0 ? error : errno;
}

asio::awaitable<Status> finish_connecting(Fd& socket, Deadline deadline) {
  auto watched = watch(co_await asio::this_coro::executor, std::move(socket));
  if (!watched) co_return tl::unexpected(DialError{flow::Refusal::admin_prohibited, watched.error().message});
  const Wait wait = co_await wait_writable(*watched, deadline);
  socket.reset(watched->release());
  if (wait == Wait::timed_out) co_return failed(ETIMEDOUT);
  if (const int error = pending_error(socket); error != 0) co_return failed(error);
  if (wait == Wait::failed) co_return failed(ECONNABORTED);
  co_return Status();
}

bool same_address(const SocketAddress& a, const SocketAddress& b, bool with_port) {
  if (a.storage.ss_family != b.storage.ss_family) return false;
  if (a.storage.ss_family == AF_INET) {
    const auto& x = reinterpret_cast<const sockaddr_in&>(a.storage);
    const auto& y = reinterpret_cast<const sockaddr_in&>(b.storage);
    return x.sin_addr.s_addr == y.sin_addr.s_addr && (!with_port || x.sin_port == y.sin_port);
  }
  const auto& x = reinterpret_cast<const sockaddr_in6&>(a.storage);
  const auto& y = reinterpret_cast<const sockaddr_in6&>(b.storage);
  return std::memcmp(&x.sin6_addr, &y.sin6_addr, sizeof x.sin6_addr) == 0 && (!with_port || x.sin6_port == y.sin6_port);
}

// The address that was judged must be the one that was reached. (connect(2) to 0.0.0.0, for one, reaches loopback.) A
// TCP socket connected to itself, which the kernel allows on loopback, has reached nobody.
Status check_peer(const Fd& socket, const Target& target) {
  const SocketAddress wanted = socket_address(target);
  SocketAddress peer, local;
  peer.size = local.size = sizeof(sockaddr_storage);
  if (::getpeername(socket.get(), peer.get(), &peer.size) != 0) return failed(errno);
  if (::getsockname(socket.get(), local.get(), &local.size) != 0) return failed(errno);
  const bool has_port = target.protocol != flow::Protocol::icmp_echo;
  if (!same_address(peer, wanted, has_port)) {
    return tl::unexpected(DialError{flow::Refusal::admin_prohibited, "connected to another address than was judged"});
  }
  if (target.protocol == flow::Protocol::tcp && same_address(peer, local, true)) return failed(ECONNREFUSED);
  return {};
}

}  // namespace

asio::awaitable<tl::expected<Fd, DialError>> dial(Target target, Deadline deadline) {
  auto opened = open_socket(target);
  if (!opened) co_return opened;
  Fd socket = std::move(*opened);
  int error = connect_now(socket, socket_address(target));
  // Within this machine the handshake is over before the call returns, and asking again is all that it takes.
  if (error == EINPROGRESS) error = connect_now(socket, socket_address(target));
  if (error == EALREADY) {
    const Status finished = co_await finish_connecting(socket, deadline);
    if (!finished) co_return tl::unexpected(finished.error());
  } else if (error != 0) {
    co_return failed(error);
  }
  if (const Status checked = check_peer(socket, target); !checked) co_return tl::unexpected(checked.error());
  co_return Dialled(std::move(socket));
}

}  // namespace microagent::mediator
