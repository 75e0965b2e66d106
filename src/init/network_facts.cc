// read_facts(): what the guest really got.

#include <linux/rtnetlink.h>
#include <sys/socket.h>

#include <cstring>

#include "init/address.h"
#include "init/files.h"
#include "init/host_files.h"
#include "init/network.h"

namespace microagent::init {
namespace {

std::optional<wire::IpAddress> address_of(std::uint8_t family, ByteView value) {
  wire::IpAddress address;
  if (family == AF_INET6) address.family = wire::IpAddress::Family::ipv6;
  const std::size_t size = bits(address) / 8;
  if (value.size() != size) return std::nullopt;
  std::memcpy(address.bytes.data(), value.data(), size);
  return address;
}

void take_address(std::uint16_t type, ByteView body, int device, wire::GuestFacts& facts) {
  Reader reader(body);
  ifaddrmsg info{};
  if (type != RTM_NEWADDR || !reader.read(info)) return;
  if (info.ifa_index != static_cast<unsigned>(device) || info.ifa_scope != RT_SCOPE_UNIVERSE) return;
  std::optional<wire::IpAddress> address;
  for_each_attribute(reader.rest(), [&](std::uint16_t attribute, ByteView value) {
    // IPv6 has no IFA_LOCAL of its own; the two are the same on anything but a point-to-point link.
    if (attribute == IFA_ADDRESS) address = address_of(info.ifa_family, value);
  });
  if (!address) return;
  const Cidr cidr{*address, info.ifa_prefixlen};
  std::string& fact = address->is_ipv4() ? facts.ip : facts.ip6;
  if (!fact.empty()) return;
  fact = to_text(cidr);
  if (address->is_ipv4()) facts.subnet = to_text(Cidr{cidr.network(), cidr.length});
}

void take_route(std::uint16_t type, ByteView body, int device, wire::GuestFacts& facts) {
  Reader reader(body);
  rtmsg info{};
  if (type != RTM_NEWROUTE || !reader.read(info) || info.rtm_table != RT_TABLE_MAIN) return;
  Route route;
  if (info.rtm_family == AF_INET6) route.destination.address.family = wire::IpAddress::Family::ipv6;
  route.destination.length = info.rtm_dst_len;
  std::optional<wire::IpAddress> gateway;
  bool ours = false;
  for_each_attribute(reader.rest(), [&](std::uint16_t attribute, ByteView value) {
    const auto address = address_of(info.rtm_family, value);
    if (attribute == RTA_DST && address) route.destination.address = *address;
    if (attribute == RTA_GATEWAY) gateway = address;
    std::uint32_t index = 0;
    if (attribute == RTA_OIF && Reader(value).read(index)) ours = index == static_cast<unsigned>(device);
  });
  if (!ours || !gateway || facts.routes.size() == wire::kMaxGuestRouteFacts) return;
  route.gateway = *gateway;
  facts.routes.push_back(to_text(route));
  std::string& fact = gateway->is_ipv4() ? facts.gateway : facts.gateway6;
  if (route.destination.length == 0 && fact.empty()) fact = to_text(*gateway);
}

}  // namespace

Result<wire::GuestFacts> read_facts(int device) {
  auto socket = NetlinkSocket::open(0);
  if (!socket) return fail(socket.error());
  wire::GuestFacts facts;
  Status listed = socket->dump({RTM_GETADDR, 0, ifaddrmsg{}},
                               [&](std::uint16_t type, ByteView body) { take_address(type, body, device, facts); });
  if (!listed) return fail(listed.error());
  for (const int family : {AF_INET, AF_INET6}) {
    rtmsg request{};
    request.rtm_family = static_cast<std::uint8_t>(family);
    listed = socket->dump({RTM_GETROUTE, 0, request},
                          [&](std::uint16_t type, ByteView body) { take_route(type, body, device, facts); });
    if (!listed) return fail(listed.error());
  }
  auto resolvers = read_resolvers();
  if (!resolvers) return fail(resolvers.error());
  facts.dns = std::move(*resolvers);
  return facts;
}

}  // namespace microagent::init
