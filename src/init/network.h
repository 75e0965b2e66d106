#pragma once

#include "base/result.h"
#include "init/netlink.h"
#include "wire/guest_config.h"

namespace microagent::init {

// The loopback device, and what holds for every guest, with a network or without.
Status configure_loopback();

// The guest's network device, as the host declared it: addresses, routes, and the settings that published ports need.
// Waits for the device to appear. The device's index.
Result<int> configure_network(const wire::GuestNetwork& network);

// What the kernel and /etc/resolv.conf say about the device.
Result<wire::GuestFacts> read_facts(int device);

}  // namespace microagent::init
