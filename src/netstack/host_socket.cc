#include "netstack/host_socket.h"

#include <netinet/icmp6.h>
#include <netinet/in.h>
#include <sys/socket.h>
#include <time.h>
// After <time.h>: it uses timespec without declaring it.
#include <linux/errqueue.h>

#include <cerrno>
#include <cstring>

namespace microagent::netstack {
namespace {

std::optional<int> option_of(const Fd& fd, int option) {
  int value = 0;
  socklen_t size = sizeof value;
  if (::getsockopt(fd.get(), SOL_SOCKET, option, &value, &size) != 0) return std::nullopt;
  return value;
}

std::optional<HostSocket::Kind> kind_of(const Fd& fd) {
  const auto domain = option_of(fd, SO_DOMAIN), type = option_of(fd, SO_TYPE);
  if (domain == AF_INET && type == SOCK_DGRAM) return HostSocket::Kind::ipv4;
  if (domain == AF_INET6 && type == SOCK_DGRAM) return HostSocket::Kind::ipv6;
  if (domain == AF_UNIX && type == SOCK_DGRAM) return HostSocket::Kind::unix_datagrams;
  if (domain == AF_UNIX && type == SOCK_SEQPACKET) return HostSocket::Kind::unix_packets;
  return std::nullopt;
}

wire::IpAddress address_of(const sockaddr* address) {
  wire::IpAddress out;
  if (address->sa_family == AF_INET) {
    sockaddr_in ipv4{};
    std::memcpy(&ipv4, address, sizeof ipv4);
    std::memcpy(out.bytes.data(), &ipv4.sin_addr, sizeof ipv4.sin_addr);
    return out;
  }
  sockaddr_in6 ipv6{};
  std::memcpy(&ipv6, address, sizeof ipv6);
  std::memcpy(out.bytes.data(), &ipv6.sin6_addr, sizeof ipv6.sin6_addr);
  out.family = wire::IpAddress::Family::ipv6;
  return out;
}

void take_report(const cmsghdr* control, SocketError& out) {
  struct {
    sock_extended_err report;
    sockaddr_in6 offender;
  } data{};
  const std::size_t size = control->cmsg_len - CMSG_LEN(0);
  std::memcpy(&data, CMSG_DATA(control), std::min(size, sizeof data));
  const sock_extended_err& report = data.report;
  out.error_number = static_cast<int>(report.ee_errno);
  out.type = report.ee_type;
  out.code = report.ee_code;
  if (report.ee_errno == EMSGSIZE) out.mtu = report.ee_info;
  const auto* offender = reinterpret_cast<const sockaddr*>(&data.offender);
  const bool by_icmp = (report.ee_origin == SO_EE_ORIGIN_ICMP && offender->sa_family == AF_INET) ||
                       (report.ee_origin == SO_EE_ORIGIN_ICMP6 && offender->sa_family == AF_INET6);
  if (by_icmp) out.from = address_of(offender);
}

bool is_report(const cmsghdr* control) {
  return (control->cmsg_level == SOL_IP && control->cmsg_type == IP_RECVERR) ||
         (control->cmsg_level == SOL_IPV6 && control->cmsg_type == IPV6_RECVERR);
}

}  // namespace

std::optional<HostSocket> HostSocket::adopt(Fd fd) {
  const auto kind = kind_of(fd);
  if (!kind) return std::nullopt;
  HostSocket socket(std::move(fd), *kind);
  if (*kind == Kind::ipv4) socket.set(SOL_IP, IP_RECVERR, 1);
  if (*kind == Kind::ipv6) socket.set(SOL_IPV6, IPV6_RECVERR, 1);
  return socket;
}

// An option that the kernel refuses leaves the socket as it is, which carries datagrams all the same.
void HostSocket::set(int level, int option, int value) const {
  (void)::setsockopt(fd_.get(), level, option, &value, sizeof value);
}

void HostSocket::set_hop_limit(std::uint8_t hop_limit) {
  hop_limit_ = hop_limit;
  const int value = hop_limit == 0 ? -1 : hop_limit;
  if (kind_ == Kind::ipv4) set(SOL_IP, IP_TTL, value);
  if (kind_ == Kind::ipv6) set(SOL_IPV6, IPV6_UNICAST_HOPS, value);
}

void HostSocket::set_dont_fragment(bool on) {
  dont_fragment_ = on;
  if (kind_ == Kind::ipv4) set(SOL_IP, IP_MTU_DISCOVER, on ? IP_PMTUDISC_DO : IP_PMTUDISC_WANT);
  if (kind_ != Kind::ipv6) return;
  set(SOL_IPV6, IPV6_MTU_DISCOVER, on ? IPV6_PMTUDISC_DO : IPV6_PMTUDISC_WANT);
  set(SOL_IPV6, IPV6_DONTFRAG, on ? 1 : 0);
}

HostSocket::Received HostSocket::receive(std::span<iovec> pieces) const {
  msghdr message{};
  message.msg_iov = pieces.data();
  message.msg_iovlen = pieces.size();
  ssize_t bytes = 0;
  do {
    bytes = ::recvmsg(fd_.get(), &message, MSG_DONTWAIT);
  } while (bytes < 0 && errno == EINTR);
  if (bytes < 0) return {.error_number = errno};
  return {static_cast<std::size_t>(bytes), (message.msg_flags & MSG_TRUNC) != 0};
}

std::optional<SocketError> HostSocket::take_error() const {
  if (!is_inet()) return std::nullopt;
  SocketError out;
  iovec part{out.quoted.data(), out.quoted.size()};
  alignas(cmsghdr) std::array<std::uint8_t, 256> control;
  msghdr message{};
  message.msg_iov = &part;
  message.msg_iovlen = 1;
  message.msg_control = control.data();
  message.msg_controllen = control.size();
  const ssize_t bytes = ::recvmsg(fd_.get(), &message, MSG_ERRQUEUE | MSG_DONTWAIT);
  if (bytes < 0) return std::nullopt;
  out.quoted_bytes = static_cast<std::size_t>(bytes);
  for (cmsghdr* header = CMSG_FIRSTHDR(&message); header != nullptr; header = CMSG_NXTHDR(&message, header)) {
    if (is_report(header)) take_report(header, out);
  }
  return out;
}

std::uint32_t HostSocket::path_mtu() const {
  int value = 0;
  socklen_t size = sizeof value;
  const int level = kind_ == Kind::ipv4 ? SOL_IP : SOL_IPV6, option = kind_ == Kind::ipv4 ? IP_MTU : IPV6_MTU;
  if (!is_inet() || ::getsockopt(fd_.get(), level, option, &value, &size) != 0 || value < 0) return 0;
  return static_cast<std::uint32_t>(value);
}

}  // namespace microagent::netstack
