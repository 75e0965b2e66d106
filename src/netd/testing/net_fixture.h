#pragma once

// A netd whose network device a test drives, as a guest does.

#include <gtest/gtest.h>

#include "netd/testing/netd_process.h"
#include "netstack/testing/frames.h"
#include "virtio/net_device.h"
#include "virtio/testing/net_guest.h"

namespace microagent::netd::testing {

inline const auto kGuest = wire::IpAddress::ipv4({192, 168, 64, 2});
inline const auto kServer = wire::IpAddress::ipv4({198, 51, 100, 7});

class NetFixture : public ::testing::Test {
 protected:
  void SetUp() override { ASSERT_TRUE(netd.configure()); }

  // Brings `driver` up on a front end of its own.
  void start(virtio::testing::FrontEnd& on, virtio::testing::NetGuest& driver) {
    driver.start(on, virtio::NetDevice::profile().features, 32);
    const auto started = netd.next(netd.supervisor());
    ASSERT_TRUE(started && started->as<flow::DeviceStarted>());
  }
  void start() {
    front.emplace(netd.attach(flow::Device::net));
    start(*front, guest);
  }

  NetdProcess netd{MICROAGENT_NETD};
  std::optional<virtio::testing::FrontEnd> front;
  virtio::testing::NetGuest guest;
};

}  // namespace microagent::netd::testing
