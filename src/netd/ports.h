#pragma once

// The two devices as netd runs them: connection, device, and what stands behind it.

#include <memory>

#include "netd/device_link.h"
#include "netd/vsock_flows.h"
#include "virtio/net_device.h"
#include "virtio/vsock_device.h"

namespace microagent::netd {

struct NetPort {
  NetPort(Fd socket, Poller& poller)
      : link(std::move(socket), virtio::NetDevice::profile(), poller, Source::net_session, Source::net_kick) {}

  DeviceLink link;
  virtio::NetDevice device{link.session()};
  bool started = false;
};

struct VsockPort {
  VsockPort(Fd socket, Poller& poller, std::uint64_t guest_cid, std::uint64_t hash_key, VsockUpcalls& upcalls)
      : config{guest_cid},
        link(std::move(socket), virtio::VsockDevice::profile(config), poller, Source::vsock_session,
             Source::vsock_kick),
        device(link.session(), guest_cid),
        flows(device, guest_cid, hash_key, upcalls) {}

  wire::VsockConfig config;
  DeviceLink link;
  virtio::VsockDevice device;
  VsockFlows flows;
  bool started = false;
};

}  // namespace microagent::netd
