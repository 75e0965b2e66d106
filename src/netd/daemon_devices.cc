// Daemon's third part: front ends come, start, break and leave.

#include "base/log.h"
#include "netd/daemon.h"

namespace microagent::netd {

Status Daemon::on_attach(flow::Device device, Fd socket) {
  if (!configured_) return fail(ErrorKind::permanent, "a device before the configuration");
  if (!socket) return fail(ErrorKind::permanent, "a device without its connection");
  if (device == flow::Device::net) {
    drop_net();
    net_ = std::make_unique<NetPort>(std::move(socket), poller_);
    wire_.attach(net_.get());
    if (!net_->link.watch()) return fail(ErrorKind::permanent, "cannot watch the net device's connection");
    return on_net_session();
  }
  if (device == flow::Device::tap) return attach_tap(std::move(socket));
  if (device != flow::Device::vsock) return fail(ErrorKind::permanent, "a device of an unknown kind");
  drop_vsock();
  vsock_ = std::make_unique<VsockPort>(std::move(socket), poller_, configured_->guest_cid, facts_.vsock_key, *this);
  if (severed_) vsock_->flows.sever();
  if (!vsock_->link.watch()) return fail(ErrorKind::permanent, "cannot watch the vsock device's connection");
  return on_vsock_session();
}

Status Daemon::attach_tap(Fd tap) {
  drop_net();
  auto port = TapPort::open(std::move(tap), poller_);
  if (!port) return fail(port.error());
  tap_ = std::move(*port);
  wire_.attach(tap_.get());
  stack_->on_wire_room();
  return peers_.channel(Peer::supervisor).send(0, flow::DeviceStarted{flow::Device::tap});
}

Status Daemon::on_net_session() {
  if (!net_) return {};
  if (Status handled = net_->link.session().on_readable(); !handled) {
    drop_net();
    return tell_device_failed(flow::Device::net, handled.error());
  }
  if (!net_->link.began(net_->device.running())) return {};
  stack_->on_wire_room();
  return peers_.channel(Peer::supervisor).send(0, flow::DeviceStarted{flow::Device::net});
}

Status Daemon::on_vsock_session() {
  if (!vsock_) return {};
  if (Status handled = vsock_->link.session().on_readable(); !handled) {
    drop_vsock();
    return tell_device_failed(flow::Device::vsock, handled.error());
  }
  if (!vsock_->link.began(vsock_->device.running())) return {};
  // A guest that only stood still finds its streams as they were; a driver that begins anew knows none.
  if (!vsock_->device.goes_on()) vsock_->flows.reset();
  return peers_.channel(Peer::supervisor).send(0, flow::DeviceStarted{flow::Device::vsock});
}

void Daemon::drop_net() {
  wire_.attach(nullptr);
  awaiting_room_ = false;
  net_.reset();
  tap_.reset();
}

void Daemon::drop_vsock() {
  if (vsock_) vsock_->flows.reset();
  vsock_.reset();
}

Status Daemon::tell_device_failed(flow::Device device, const Error& error) {
  log_warning("device {}: {}", device == flow::Device::net ? "net" : "vsock", error.message);
  return peers_.channel(Peer::supervisor).send(0, flow::DeviceFailed{device}, -1, text_bytes(error.message));
}

// A ring that its driver broke is stopped and stays so; the others go on. Each stop is one line, and a ring must be set
// up anew by the front end before it can break again, so a guest cannot flood the log.
void Daemon::report_faults() {
  const auto report = [](std::string_view name, virtio::VhostSession& session) {
    for (std::size_t i = 0; i < session.queue_count(); ++i) {
      const virtio::RingFault fault = session.queue(i).take_fault();
      if (fault != virtio::RingFault::none) log_warning("{} queue {} stopped: {}", name, i, to_string(fault));
    }
  };
  if (net_) report("net", net_->link.session());
  if (vsock_) report("vsock", vsock_->link.session());
}

}  // namespace microagent::netd
