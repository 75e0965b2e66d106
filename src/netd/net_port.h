#pragma once

#include "netd/device_link.h"
#include "netd/front_end.h"
#include "virtio/net_device.h"

namespace microagent::netd {

// The virtio network device as a front end: its vhost-user connection, and frames straight in guest memory.
class NetPort final : public FrontEnd, private virtio::FrameSink {
 public:
  NetPort(Fd socket, Poller& poller)
      : link(std::move(socket), virtio::NetDevice::profile(), poller, Source::net_session, Source::net_kick) {}

  DeviceLink link;
  virtio::NetDevice device{link.session()};

  std::size_t receive(netstack::Stack& stack, std::size_t budget) override;
  void flush(virtio::Show what) override { device.flush(what); }
  bool await_frames() override { return device.await_frames(); }
  bool await_room() override { return device.await_room(); }

  Abilities abilities() const override;
  std::span<const iovec> reserve(std::size_t bytes) override { return device.reserve(bytes); }
  void commit(std::size_t bytes, const netstack::Offload& offload) override;
  void abandon() override { device.abandon(); }

 private:
  void on_frame(std::span<const iovec> pieces, std::size_t bytes, const wire::NetHeader& header) override;

  netstack::Stack* receiver_ = nullptr;  // during receive()
};

}  // namespace microagent::netd
