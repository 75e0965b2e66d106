#pragma once

#include "netstack/stack.h"
#include "virtio/net_device.h"

namespace microagent::netd {

// Joins the network device and the stack, which know nothing of each other: frames go up by on_frame(), down by the
// Wire. Without a device the guest has no room and no abilities.
class NetWire final : public netstack::Wire, public virtio::FrameSink {
 public:
  void set_device(virtio::NetDevice* device) { device_ = device; }
  void set_stack(netstack::Stack* stack) { stack_ = stack; }

  // Whether the stack has asked for room in vain since the last call.
  bool take_room_wanted() { return std::exchange(room_wanted_, false); }

  Abilities abilities() const override;
  std::span<const iovec> reserve(std::size_t bytes) override;
  void commit(std::size_t bytes, const netstack::Offload& offload) override;
  void abandon() override;

  void on_frame(std::span<const iovec> pieces, std::size_t bytes, const wire::NetHeader& header) override;

 private:
  virtio::NetDevice* device_ = nullptr;
  netstack::Stack* stack_ = nullptr;
  bool room_wanted_ = false;
};

}  // namespace microagent::netd
