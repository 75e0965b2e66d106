#include "netd/permissive.h"

#include <netinet/in.h>
#include <netinet/tcp.h>
#include <poll.h>
#include <sys/epoll.h>
#include <sys/socket.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <cstring>

#include "base/log.h"

namespace microagent::netd {
namespace {

// What epoll says of: netd as our client, netd as our child, one of the listeners, or a socket that connects.
constexpr std::uint64_t kNetd = 0, kSupervised = 1, kListeners = 2, kSockets = std::uint64_t{1} << 32;
constexpr std::uint16_t kDnsPort = 53;

struct Target {
  sockaddr_storage address{};
  socklen_t size = 0;
};

Target target_of(const flow::Endpoint& endpoint, flow::Protocol protocol) {
  const auto port = static_cast<std::uint16_t>(protocol == flow::Protocol::icmp_echo ? 0 : endpoint.port);
  Target target;
  if (endpoint.family == flow::Family::ipv4) {
    sockaddr_in address{};
    address.sin_family = AF_INET;
    address.sin_port = htons(port);
    std::memcpy(&address.sin_addr, endpoint.address.data(), sizeof address.sin_addr);
    std::memcpy(&target.address, &address, target.size = sizeof address);
    return target;
  }
  sockaddr_in6 address{};
  address.sin6_family = AF_INET6;
  address.sin6_port = htons(port);
  std::memcpy(&address.sin6_addr, endpoint.address.data(), sizeof address.sin6_addr);
  std::memcpy(&target.address, &address, target.size = sizeof address);
  return target;
}

Fd open_socket(flow::Protocol protocol, int family) {
  constexpr int kFlags = SOCK_NONBLOCK | SOCK_CLOEXEC;
  switch (protocol) {
    case flow::Protocol::tcp: {
      Fd socket(::socket(family, SOCK_STREAM | kFlags, 0));
      const int on = 1;
      if (socket) ::setsockopt(socket.get(), IPPROTO_TCP, TCP_NODELAY, &on, sizeof on);
      return socket;
    }
    case flow::Protocol::udp: return Fd(::socket(family, SOCK_DGRAM | kFlags, 0));
    case flow::Protocol::icmp_echo:
      return Fd(::socket(family, SOCK_DGRAM | kFlags, family == AF_INET ? int{IPPROTO_ICMP} : int{IPPROTO_ICMPV6}));
    case flow::Protocol::vsock: break;
  }
  errno = EPROTONOSUPPORT;
  return Fd();
}

flow::Refusal refusal_for(int error) {
  switch (error) {
    case ENETUNREACH: return flow::Refusal::net_unreachable;
    case EHOSTUNREACH:
    case ETIMEDOUT: return flow::Refusal::host_unreachable;
    case EACCES:
    case EPERM: return flow::Refusal::admin_prohibited;
    default: return flow::Refusal::reset;
  }
}

}  // namespace

Permissive::Permissive(Fd as_mediator, Fd as_supervisor, Options options)
    : netd_(std::move(as_mediator)),
      supervised_(std::move(as_supervisor)),
      options_(std::move(options)),
      epoll_(::epoll_create1(EPOLL_CLOEXEC)) {}

bool Permissive::watch(int fd, std::uint32_t events, std::uint64_t data) {
  epoll_event event{};
  event.events = events;
  event.data.u64 = data;
  return ::epoll_ctl(epoll_.get(), EPOLL_CTL_ADD, fd, &event) == 0;
}

Status Permissive::run() {
  bool watched = watch(netd_.fd(), EPOLLIN, kNetd) && watch(supervised_.fd(), EPOLLIN, kSupervised);
  for (std::size_t i = 0; i < options_.published.size(); ++i) {
    watched = watched && watch(options_.published[i].listener.get(), EPOLLIN, kListeners + i);
  }
  if (!watched) return fail_errno(errno, "cannot watch netd");
  std::array<epoll_event, 64> events;
  while (!ended_) {
    const int count = ::epoll_wait(epoll_.get(), events.data(), static_cast<int>(events.size()), -1);
    for (const epoll_event& event : std::span(events).first(static_cast<std::size_t>(std::max(count, 0)))) {
      const std::uint64_t data = event.data.u64;
      if (data >= kSockets) {
        on_dialled(static_cast<int>(data - kSockets));
      } else if (data >= kListeners) {
        on_connection(data - kListeners);
      } else if (Status handled = on_netd(); !handled) {
        return handled;
      }
    }
  }
  return {};
}

Status Permissive::on_netd() {
  flow::Message message;
  for (flow::Channel* channel : {&netd_, &supervised_}) {
    for (;;) {
      const flow::Receive received = channel->receive(message);
      if (received == flow::Receive::would_block) break;
      if (received == flow::Receive::broken) return fail(ErrorKind::permanent, "netd sent a malformed message");
      if (received == flow::Receive::closed) return ended_ = true, Status();
      if (const auto open = message.as<flow::Open>()) on_open(message.header.flow, *open);
    }
  }
  return {};
}

bool Permissive::is_gateway6(const flow::Endpoint& destination) const {
  return destination.family == flow::Family::ipv6 && options_.gateway6 && destination.address == *options_.gateway6;
}

void Permissive::on_open(flow::FlowId flow, const flow::Open& open) {
  flow::Endpoint destination = open.destination;
  const bool to_gateway = destination.family == flow::Family::ipv4 &&
                          std::equal(options_.gateway.begin(), options_.gateway.end(), destination.address.begin());
  if (to_gateway) {
    // Nothing of the host is reached under the gateway's address but its resolver.
    if (destination.port != kDnsPort || !options_.resolver) return refuse(flow, ECONNREFUSED);
    std::ranges::copy(*options_.resolver, destination.address.begin());
  }
  if (is_gateway6(destination)) return refuse(flow, ECONNREFUSED);
  const Target target = target_of(destination, open.protocol);
  Fd socket = open_socket(open.protocol, target.address.ss_family);
  if (!socket) return refuse(flow, errno);
  if (::connect(socket.get(), reinterpret_cast<const sockaddr*>(&target.address), target.size) == 0) {
    return splice(flow, socket);
  }
  if (errno != EINPROGRESS) return refuse(flow, errno);
  const int fd = socket.get();
  if (!watch(fd, EPOLLOUT | EPOLLONESHOT, kSockets + static_cast<std::uint64_t>(fd))) return refuse(flow, errno);
  dialling_[fd] = Dialling{flow, std::move(socket)};
}

void Permissive::on_dialled(int fd) {
  const auto found = dialling_.find(fd);
  if (found == dialling_.end()) return;
  const Dialling dialled = std::move(found->second);
  dialling_.erase(found);
  int error = 0;
  socklen_t size = sizeof error;
  if (::getsockopt(fd, SOL_SOCKET, SO_ERROR, &error, &size) != 0) error = errno;
  // The description lives on in netd, and must not be watched here any more.
  (void)::epoll_ctl(epoll_.get(), EPOLL_CTL_DEL, fd, nullptr);
  error == 0 ? splice(dialled.flow, dialled.socket) : refuse(dialled.flow, error);
}

void Permissive::on_connection(std::size_t index) {
  const Published& published = options_.published[index];
  const Fd connection(::accept4(published.listener.get(), nullptr, nullptr, SOCK_NONBLOCK | SOCK_CLOEXEC));
  if (!connection) return;
  const int on = 1;
  ::setsockopt(connection.get(), IPPROTO_TCP, TCP_NODELAY, &on, sizeof on);
  flow::Dial dial;
  dial.guest_port = published.guest_port;
  dial.protocol = flow::Protocol::tcp;
  dial.peer.family = published.by_ipv6 ? flow::Family::ipv6 : flow::Family::ipv4;
  const Status sent = supervised_.send(flow::kDialledBit | ++dialled_, dial, connection.get());
  if (!sent) log_warning("{}", sent.error().message);
}

void Permissive::splice(flow::FlowId flow, const Fd& socket) {
  flow::Verdict verdict;
  verdict.action = flow::Action::splice;
  send(flow, verdict, socket.get());
}

void Permissive::refuse(flow::FlowId flow, int error) {
  flow::Verdict verdict;
  verdict.action = flow::Action::refuse;
  verdict.refusal = refusal_for(error);
  send(flow, verdict, -1);
}

// A verdict may not be lost; netd always reads on, so waiting for it is short.
void Permissive::send(flow::FlowId flow, const flow::Verdict& verdict, int fd) {
  for (;;) {
    const Status sent = netd_.send(flow, verdict, fd);
    if (sent) return;
    if (!sent.error().retryable()) {
      ended_ = true;
      return;
    }
    pollfd room{netd_.fd(), POLLOUT, 0};
    ::poll(&room, 1, -1);
  }
}

}  // namespace microagent::netd
