#include "mediator/host_addresses.h"

#include <ifaddrs.h>
#include <linux/netlink.h>
#include <linux/rtnetlink.h>
#include <netinet/in.h>
#include <sys/socket.h>

#include <array>
#include <cerrno>
#include <cstring>
#include <memory>
#include <optional>

namespace microagent::mediator {
namespace {

std::optional<policy::Address> address_of(const sockaddr* address) {
  if (address == nullptr) return std::nullopt;
  if (address->sa_family == AF_INET) {
    std::array<std::uint8_t, 4> octets{};
    std::memcpy(octets.data(), &reinterpret_cast<const sockaddr_in*>(address)->sin_addr, octets.size());
    return policy::Address::ipv4(octets);
  }
  if (address->sa_family == AF_INET6) {
    std::array<std::uint8_t, 16> octets{};
    std::memcpy(octets.data(), &reinterpret_cast<const sockaddr_in6*>(address)->sin6_addr, octets.size());
    return policy::Address::ipv6(octets);
  }
  return std::nullopt;
}

Result<std::set<policy::Address>> read_interfaces() {
  ifaddrs* list = nullptr;
  if (::getifaddrs(&list) != 0) return fail_errno(errno, "cannot list the host's addresses");
  const std::unique_ptr<ifaddrs, decltype(&::freeifaddrs)> owned(list, ::freeifaddrs);
  std::set<policy::Address> addresses;
  for (const ifaddrs* entry = list; entry != nullptr; entry = entry->ifa_next) {
    if (const auto address = address_of(entry->ifa_addr)) addresses.insert(*address);
  }
  return addresses;
}

}  // namespace

Result<HostAddresses> HostAddresses::open() {
  Fd notices(::socket(AF_NETLINK, SOCK_RAW | SOCK_CLOEXEC | SOCK_NONBLOCK, NETLINK_ROUTE));
  if (!notices) return fail_errno(errno, "cannot open a netlink socket");
  sockaddr_nl groups{};
  groups.nl_family = AF_NETLINK;
  groups.nl_groups = RTMGRP_IPV4_IFADDR | RTMGRP_IPV6_IFADDR;
  if (::bind(notices.get(), reinterpret_cast<const sockaddr*>(&groups), sizeof groups) != 0) {
    return fail_errno(errno, "cannot subscribe to address changes");
  }
  return HostAddresses(std::move(notices));
}

Status HostAddresses::refresh(std::set<policy::Address>& addresses) {
  if (const Status status = take_notices(); !status) return status;
  if (!stale_) return {};
  auto read = read_interfaces();
  if (!read) return fail(read.error());
  addresses = std::move(*read);
  stale_ = false;
  return {};
}

// What a notice says does not matter, since the interfaces are read anew; nor does it when notices were lost (ENOBUFS).
Status HostAddresses::take_notices() {
  std::array<char, 8192> notice{};
  for (;;) {
    const ssize_t size = ::recv(notices_.get(), notice.data(), notice.size(), MSG_DONTWAIT | MSG_TRUNC);
    if (size < 0 && errno == EINTR) continue;
    if (size < 0 && (errno == EAGAIN || errno == EWOULDBLOCK)) return {};
    if (size < 0 && errno != ENOBUFS) return fail_errno(errno, "cannot follow address changes");
    stale_ = true;
  }
}

}  // namespace microagent::mediator
