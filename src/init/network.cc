#include "init/network.h"

#include <linux/if_addr.h>
#include <linux/rtnetlink.h>
#include <net/if.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <cstdio>
#include <optional>

#include "base/clock.h"
#include "init/address.h"
#include "init/files.h"
#include "init/text.h"

namespace microagent::init {
namespace {

using Mac = std::array<std::uint8_t, 6>;

constexpr std::uint64_t kDevicePatience = 10'000'000'000;  // ns

struct Device {
  int index = 0;
  std::string name;
};

std::uint8_t family_of(const wire::IpAddress& address) {
  return static_cast<std::uint8_t>(address.is_ipv4() ? AF_INET : AF_INET6);
}

std::optional<Mac> parse_mac(const std::string& text) {
  Mac mac{};
  int end = 0;
  const int count = std::sscanf(text.c_str(), "%2hhx:%2hhx:%2hhx:%2hhx:%2hhx:%2hhx%n", &mac[0], &mac[1], &mac[2],
                                &mac[3], &mac[4], &mac[5], &end);
  if (count != 6 || static_cast<std::size_t>(end) != text.size()) return std::nullopt;
  return mac;
}

// The device that a link message is about, when it is the one with this hardware address.
std::optional<Device> match(std::uint16_t type, ByteView body, const Mac& mac) {
  Reader reader(body);
  ifinfomsg info{};
  if (type != RTM_NEWLINK || !reader.read(info)) return std::nullopt;
  Device device{info.ifi_index, {}};
  bool same = false;
  for_each_attribute(reader.rest(), [&](std::uint16_t attribute, ByteView value) {
    if (attribute == IFLA_ADDRESS) same = std::equal(value.begin(), value.end(), mac.begin(), mac.end());
    if (attribute == IFLA_IFNAME && !value.empty()) device.name.assign(value.begin(), value.end() - 1);
  });
  if (!same || device.name.empty()) return std::nullopt;
  return device;
}

// Listens before it looks, so that a device which appears in between is not missed.
Result<Device> await_device(const Mac& mac) {
  auto socket = NetlinkSocket::open(RTMGRP_LINK);
  if (!socket) return fail(socket.error());
  std::optional<Device> device;
  const auto look = [&](std::uint16_t type, ByteView body) {
    if (!device) device = match(type, body, mac);
  };
  const std::uint64_t deadline = monotonic_ns() + kDevicePatience;
  if (Status listed = socket->dump({RTM_GETLINK, 0, ifinfomsg{}}, look); !listed) return fail(listed.error());
  while (!device && socket->hear(deadline, look)) {
  }
  if (!device) return fail(ErrorKind::not_found, "the network device did not appear within 10 s");
  return *device;
}

Status bring_up(NetlinkSocket& socket, int index) {
  ifinfomsg info{};
  info.ifi_index = index;
  info.ifi_flags = IFF_UP;
  info.ifi_change = IFF_UP;
  return socket.change({RTM_NEWLINK, 0, info}, "bring the network device up");
}

Status add_address(NetlinkSocket& socket, int index, const Cidr& cidr) {
  ifaddrmsg body{};
  body.ifa_family = family_of(cidr.address);
  body.ifa_prefixlen = static_cast<std::uint8_t>(cidr.length);
  // There is nobody on the wire who could have the address too.
  body.ifa_flags = cidr.address.is_ipv4() ? 0 : IFA_F_NODAD;
  body.ifa_index = static_cast<std::uint32_t>(index);
  NetlinkMessage message(RTM_NEWADDR, NLM_F_CREATE | NLM_F_EXCL, body);
  message.add(IFA_LOCAL, cidr.address);
  message.add(IFA_ADDRESS, cidr.address);
  // The two hosts of a /31 have no broadcast address (RFC 3021).
  if (cidr.address.is_ipv4() && cidr.length < 31) message.add(IFA_BROADCAST, cidr.broadcast());
  return socket.change(std::move(message), concat("add the address ", to_text(cidr)));
}

Status add_route(NetlinkSocket& socket, int index, const Route& route) {
  rtmsg body{};
  body.rtm_family = family_of(route.gateway);
  body.rtm_dst_len = static_cast<std::uint8_t>(route.destination.length);
  body.rtm_table = RT_TABLE_MAIN;
  body.rtm_protocol = RTPROT_STATIC;
  body.rtm_scope = RT_SCOPE_UNIVERSE;
  body.rtm_type = RTN_UNICAST;
  NetlinkMessage message(RTM_NEWROUTE, NLM_F_CREATE | NLM_F_EXCL, body);
  if (route.destination.length != 0) message.add(RTA_DST, route.destination.network());
  message.add(RTA_GATEWAY, route.gateway);
  message.add(RTA_OIF, static_cast<std::uint32_t>(index));
  return socket.change(std::move(message), concat("add the route ", to_text(route)));
}

// The declared routes, and the default ones that no declared route stands for.
Result<std::vector<Route>> all_routes(const wire::GuestNetwork& network) {
  std::vector<Route> routes;
  for (const std::string& text : network.routes) {
    const auto route = parse_route(text);
    if (!route) return fail(ErrorKind::permanent, concat("no route: ", text));
    routes.push_back(*route);
  }
  for (const std::string* text : {&network.gateway, &network.gateway6}) {
    if (text->empty()) continue;
    const auto gateway = parse_address(*text);
    if (!gateway) return fail(ErrorKind::permanent, concat("no gateway: ", *text));
    const bool listed = std::ranges::any_of(routes, [&](const Route& route) {
      return route.destination.length == 0 && route.gateway.family == gateway->family;
    });
    wire::IpAddress anywhere;
    anywhere.family = gateway->family;
    if (!listed) routes.push_back({{anywhere, 0}, *gateway});
  }
  return routes;
}

// A published port reaches services on the guest's 127.0.0.1 as packets from the gateway that arrive on the device.
// route_localnet lets them in and their replies out; with arp_announce 2 the guest does not ask for the gateway in the
// name of 127.0.0.1.
Status set_device_settings(const std::string& device, bool ipv6) {
  const std::string v4 = concat("net/ipv4/conf/", device), v6 = concat("net/ipv6/conf/", device);
  if (Status set = write_setting(v4 + "/route_localnet", "1"); !set) return set;
  if (Status set = write_setting(v4 + "/arp_announce", "2"); !set) return set;
  if (!ipv6) return write_setting(v6 + "/disable_ipv6", "1");
  // Addresses and routes are the ones that were declared.
  if (Status set = write_setting(v6 + "/accept_ra", "0"); !set) return set;
  return write_setting(v6 + "/accept_dad", "0");
}

Status add_addresses(NetlinkSocket& socket, int index, const wire::GuestNetwork& network) {
  for (const std::string* text : {&network.ip, &network.ip6}) {
    if (text->empty()) continue;
    const auto cidr = parse_cidr(*text);
    if (!cidr) return fail(ErrorKind::permanent, concat("no address with a prefix: ", *text));
    if (Status added = add_address(socket, index, *cidr); !added) return added;
  }
  return {};
}

}  // namespace

Status configure_loopback() {
  auto socket = NetlinkSocket::open(0);
  if (!socket) return fail(socket.error());
  const unsigned index = ::if_nametoindex("lo");
  if (index == 0) return fail_errno(errno, "cannot find the loopback device");
  if (Status up = bring_up(*socket, static_cast<int>(index)); !up) return up;
  // Every user may ping (ping sockets, ICMP_PROTO).
  return write_setting("net/ipv4/ping_group_range", "0 2147483647");
}

Result<int> configure_network(const wire::GuestNetwork& network) {
  const auto mac = parse_mac(network.mac);
  if (!mac) return fail(ErrorKind::permanent, concat("no hardware address: ", network.mac));
  const auto routes = all_routes(network);
  if (!routes) return fail(routes.error());
  const auto device = await_device(*mac);
  if (!device) return fail(device.error());
  auto socket = NetlinkSocket::open(0);
  if (!socket) return fail(socket.error());
  if (Status set = set_device_settings(device->name, !network.ip6.empty()); !set) return fail(set.error());
  if (Status up = bring_up(*socket, device->index); !up) return fail(up.error());
  if (Status added = add_addresses(*socket, device->index, network); !added) return fail(added.error());
  for (const Route& route : *routes) {
    if (Status added = add_route(*socket, device->index, route); !added) return fail(added.error());
  }
  return device->index;
}

}  // namespace microagent::init
