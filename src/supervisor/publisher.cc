#include "supervisor/publisher.h"

#include <netinet/in.h>
#include <netinet/tcp.h>
#include <sys/socket.h>

#include <algorithm>
#include <cerrno>

#include "base/log.h"

namespace microagent::supervisor {
namespace {

constexpr std::size_t kMaxConversations = 1024;  // of one UDP port at once

// Descriptors or memory are short: nothing tells when they no longer are, so it is tried again after a while.
constexpr std::chrono::milliseconds kShortagePause{100};

bool is_shortage(int error) { return error == EMFILE || error == ENFILE || error == ENOBUFS || error == ENOMEM; }

flow::Dial dial_to(std::uint16_t guest_port, flow::Protocol protocol, const SocketAddress& peer) {
  flow::Dial dial;
  dial.peer = to_endpoint(peer);
  dial.guest_port = guest_port;
  dial.protocol = protocol;
  return dial;
}

}  // namespace

Status Publisher::publish(BoundPort bound) {
  auto socket = watch(executor_, std::move(bound.socket));
  if (!socket) return fail(socket.error());
  const bool tcp = bound.forward.protocol == workspace::Transport::tcp;
  const PortPtr port = ports_.emplace_back(
      std::make_shared<Port>(Published{std::move(bound.declared), std::move(bound.forward)}, std::move(*socket)));
  spawn(executor_, tcp ? accept_connections(port) : take_datagrams(port));
  return {};
}

void Publisher::unpublish(const workspace::Forward& declared) {
  const auto found =
      std::ranges::find_if(ports_, [&](const PortPtr& port) { return port->forward.declared == declared; });
  if (found == ports_.end()) return;
  boost::system::error_code ignored;
  (*found)->socket.close(ignored);
  ports_.erase(found);
}

std::vector<Publisher::Published> Publisher::published() const {
  std::vector<Published> all;
  for (const PortPtr& port : ports_) all.push_back(port->forward);
  return all;
}

void Publisher::close() {
  for (const PortPtr& port : ports_) {
    boost::system::error_code ignored;
    port->socket.close(ignored);
  }
}

asio::awaitable<void> Publisher::accept_connections(PortPtr port) {
  while (co_await wait_readable(port->socket, kNever) == Wait::ready) {
    SocketAddress peer;
    peer.size = sizeof peer.storage;
    Fd connection(::accept4(port->socket.native_handle(), peer.get(), &peer.size, SOCK_CLOEXEC | SOCK_NONBLOCK));
    if (!connection && is_shortage(errno)) {
      log_warning("cannot accept a connection to guest port {} for want of descriptors or memory", port->guest_port());
      co_await pause(kShortagePause);
    }
    if (connection && !co_await hand_over(*port, std::move(connection), peer)) co_return;
  }
}

asio::awaitable<bool> Publisher::hand_over(const Port& port, Fd connection, const SocketAddress& peer) {
  const int on = 1;
  // Segments are the guest's affair; ours would only wait for more.
  ::setsockopt(connection.get(), IPPROTO_TCP, TCP_NODELAY, &on, sizeof on);
  const flow::Dial dial = dial_to(port.guest_port(), flow::Protocol::tcp, peer);
  co_return co_await netd_.dial(dial, std::move(connection));
}

asio::awaitable<void> Publisher::take_datagrams(PortPtr port) {
  while (co_await wait_readable(port->socket, kNever) == Wait::ready) {
    auto datagram = receive_datagram(port->socket.native_handle());
    if (!datagram) continue;
    std::vector<Datagram> waiting{std::move(*datagram)};
    while (!waiting.empty()) {
      const Datagram next = std::move(waiting.back());
      waiting.pop_back();
      co_await begin_conversation(port, next, waiting);
    }
  }
}

// A datagram of a conversation that has a socket of its own arrived before that socket was connected; it is dropped, as
// is whatever cannot be carried.
asio::awaitable<void> Publisher::begin_conversation(PortPtr port, const Datagram& datagram,
                                                    std::vector<Datagram>& strays) {
  const std::string name = datagram.conversation();
  if (port->conversations.contains(name) || port->conversations.size() >= kMaxConversations) co_return;
  auto socket = make_conversation_socket(port->socket.native_handle(), datagram, strays);
  if (!socket) co_return;
  port->conversations.insert(name);
  const flow::Dial dial = dial_to(port->guest_port(), flow::Protocol::udp, datagram.peer);
  const bool carried = co_await netd_.dial(dial, std::move(*socket), datagram.payload,
                                           [port, name] { port->conversations.erase(name); });
  if (!carried) port->conversations.erase(name);
}

}  // namespace microagent::supervisor
