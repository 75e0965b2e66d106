#include "supervisor/datagrams.h"

#include <netinet/in.h>
#include <sys/uio.h>

#include <array>
#include <cerrno>
#include <cstring>

#include "flow/messages.h"

namespace microagent::supervisor {
namespace {

bool set_reuse(int socket, bool on) {
  const int value = on ? 1 : 0;
  return ::setsockopt(socket, SOL_SOCKET, SO_REUSEADDR, &value, sizeof value) == 0;
}

bool set(int socket, int level, int option) {
  const int on = 1;
  return ::setsockopt(socket, level, option, &on, sizeof on) == 0;
}

// Overwrites the address with the one the datagram was sent to; the port stays.
void take_destination(msghdr& message, SocketAddress& local) {
  for (cmsghdr* control = CMSG_FIRSTHDR(&message); control != nullptr; control = CMSG_NXTHDR(&message, control)) {
    if (control->cmsg_level == IPPROTO_IP && control->cmsg_type == IP_PKTINFO) {
      in_pktinfo info{};
      std::memcpy(&info, CMSG_DATA(control), sizeof info);
      reinterpret_cast<sockaddr_in&>(local.storage).sin_addr = info.ipi_addr;
    } else if (control->cmsg_level == IPPROTO_IPV6 && control->cmsg_type == IPV6_PKTINFO) {
      in6_pktinfo info{};
      std::memcpy(&info, CMSG_DATA(control), sizeof info);
      auto& address = reinterpret_cast<sockaddr_in6&>(local.storage);
      address.sin6_addr = info.ipi6_addr;
      // A link-local address means nothing without its link.
      if (IN6_IS_ADDR_LINKLOCAL(&info.ipi6_addr)) address.sin6_scope_id = info.ipi6_ifindex;
    }
  }
}

std::string bytes_of_address(const SocketAddress& address) {
  return {reinterpret_cast<const char*>(&address.storage), address.size};
}

// Lets the port be bound a second time, by us, for as long as the object lives. At any other time the published port is
// exclusive.
class Sharing {
 public:
  explicit Sharing(int socket) : socket_(socket), shared_(set_reuse(socket, true)) {}
  Sharing(const Sharing&) = delete;
  Sharing& operator=(const Sharing&) = delete;
  ~Sharing() { set_reuse(socket_, false); }
  explicit operator bool() const { return shared_; }

 private:
  int socket_;
  bool shared_;
};

}  // namespace

std::string Datagram::conversation() const { return bytes_of_address(peer) + bytes_of_address(local); }

std::optional<Datagram> receive_datagram(int socket) {
  auto local = local_address(socket);
  if (!local) return std::nullopt;
  Datagram datagram;
  datagram.payload.resize(flow::kMaxTrailing);
  iovec part{datagram.payload.data(), datagram.payload.size()};
  alignas(cmsghdr) std::array<char, 256> control{};
  msghdr message{};
  message.msg_name = &datagram.peer.storage;
  message.msg_namelen = sizeof datagram.peer.storage;
  message.msg_iov = &part;
  message.msg_iovlen = 1;
  message.msg_control = control.data();
  message.msg_controllen = control.size();
  ssize_t size = 0;
  do {
    size = ::recvmsg(socket, &message, MSG_DONTWAIT);
    // An ICMP error about an earlier answer is no datagram, and no end either.
  } while (size < 0 && (errno == EINTR || errno == ECONNREFUSED));
  if (size < 0) return std::nullopt;
  datagram.payload.resize(static_cast<std::size_t>(size));
  datagram.peer.size = message.msg_namelen;
  datagram.local = *local;
  take_destination(message, datagram.local);
  return datagram;
}

Result<Fd> make_conversation_socket(int published, const Datagram& datagram, std::vector<Datagram>& strays) {
  const int family = datagram.local.family();
  Fd socket(::socket(family, SOCK_DGRAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0));
  if (!socket || !set_reuse(socket.get(), true)) return fail_errno(errno, "cannot make a datagram socket");
  const bool v6 = family == AF_INET6;
  if (!(v6 ? set(socket.get(), IPPROTO_IPV6, IPV6_RECVPKTINFO) : set(socket.get(), IPPROTO_IP, IP_PKTINFO))) {
    return fail_errno(errno, "cannot make a datagram socket");
  }
  {
    const Sharing sharing(published);
    if (!sharing || ::bind(socket.get(), datagram.local.get(), datagram.local.size) != 0) {
      return fail_errno(errno, "cannot bind a datagram socket");
    }
  }
  if (::connect(socket.get(), datagram.peer.get(), datagram.peer.size) != 0) {
    return fail_errno(errno, "cannot connect a datagram socket");
  }
  while (auto stray = receive_datagram(socket.get())) {
    if (stray->conversation() != datagram.conversation()) strays.push_back(std::move(*stray));
  }
  return socket;
}

}  // namespace microagent::supervisor
