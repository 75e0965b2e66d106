#pragma once

// The vsock device as netd runs it: connection, device, and what stands behind it.

#include <memory>

#include "netd/device_link.h"
#include "netd/vsock_flows.h"
#include "virtio/vsock_device.h"

namespace microagent::netd {

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
};

}  // namespace microagent::netd
