#pragma once

#include "netstack/environment.h"
#include "netstack/icmp_errors.h"
#include "netstack/testing/fake_upcalls.h"
#include "netstack/testing/fake_wire.h"

namespace microagent::netstack::testing {

inline const wire::IpAddress kGuest = wire::IpAddress::ipv4({192, 168, 64, 2});
inline const wire::IpAddress kGateway = wire::IpAddress::ipv4({192, 168, 64, 1});
inline const wire::IpAddress kServer = wire::IpAddress::ipv4({198, 51, 100, 7});

inline Config make_config() {
  Config config;
  config.guest_mac = kGuestMac;
  config.gateway_mac = kGatewayMac;
  config.guest_ip = kGuest.octets();
  config.gateway_ip = kGateway.octets();
  config.prefix_length = 24;
  config.mtu = 1500;
  config.dns = {kGateway.octets()};
  config.dns_count = 1;
  config.hash_key = {1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15, 16};
  return config;
}

// One table of flows by itself: what it needs of a stack, around a fake wire and clock.
struct TestEnvironment {
  Config config = make_config();
  FakeWire wire;
  FakeUpcalls upcalls;
  Stack::Counters counters;
  Budgets budgets;
  Output output{config, wire, counters};
  Environment environment{.config = config,
                          .output = output,
                          .upcalls = upcalls,
                          .counters = counters,
                          .icmp_errors = icmp_errors,
                          .budgets = budgets,
                          .now_ns = 1'000'000'000};
  IcmpErrors icmp_errors{environment};
};

}  // namespace microagent::netstack::testing
