#pragma once

#include <array>
#include <cstdint>
#include <span>
#include <string_view>

#include "base/result.h"
#include "virtio/guest_memory.h"
#include "virtio/vhost_socket.h"
#include "virtio/vring.h"

namespace microagent::virtio {

inline constexpr std::size_t kMaxQueues = 3;

// What a device is to its front end.
struct DeviceProfile {
  std::uint64_t features = 0;           // virtio feature bits on offer
  std::uint64_t protocol_features = 0;  // vhost-user's own
  std::size_t queue_count = 0;          // at most kMaxQueues
  ByteView config;                      // configuration space, borrowed; empty when QEMU has its own
};

// Told by a session while it handles a message.
class VhostEvents {
 public:
  virtual ~VhostEvents() = default;
  // The driver's notifications of a queue arrive on `fd` (an eventfd that nobody needs to read: watch its edges).
  // False when it cannot be watched, which ends the session.
  virtual bool on_kick_added(std::size_t queue, int fd) = 0;
  // Comes before the descriptor is closed.
  virtual void on_kick_removed(std::size_t queue, int fd) = 0;
};

// The back end's side of one vhost-user connection: negotiates, holds the memory table and the rings. Any message that
// breaks the protocol ends this session with an error that says which, and nothing else.
class VhostSession {
 public:
  VhostSession(Fd socket, const DeviceProfile& profile, VhostEvents& events);

  int fd() const { return socket_.fd(); }

  // Handles every message that has arrived; queues may have started or stopped. An error means the session is over:
  // stop_all(), then destroy it.
  Status on_readable();
  // Stops the rings and gives up their descriptors.
  void stop_all();

  Vring& queue(std::size_t index) { return queues_[index]; }
  const Vring& queue(std::size_t index) const { return queues_[index]; }
  // Of all queues: two looks that find the same number saw the same run of a device.
  std::uint64_t halts() const;
  std::size_t queue_count() const { return profile_.queue_count; }
  std::uint64_t features() const { return features_; }

 private:
  Status dispatch(VhostMessage& message);
  Status set_features(ByteView payload);
  Status set_protocol_features(ByteView payload);
  Status set_memory_table(VhostMessage& message);
  Status set_vring_state(wire::VhostRequest request, ByteView payload);
  Status set_vring_address(ByteView payload);
  Status set_vring_fd(wire::VhostRequest request, VhostMessage& message);
  Status set_kick(std::size_t index, Fd kick);
  Status get_vring_base(const VhostMessage& message);
  Status get_config(const VhostMessage& message);
  Status reply_u64(const VhostMessage& message, std::uint64_t value);
  void remove_kick(std::size_t index);
  void settle(bool changed);
  bool valid(std::uint32_t index) const { return index < profile_.queue_count; }

  VhostSocket socket_;
  DeviceProfile profile_;
  VhostEvents& events_;
  GuestMemory memory_;
  std::array<Vring, kMaxQueues> queues_;
  std::uint64_t features_ = 0;
  std::uint64_t protocol_features_ = 0;
};

}  // namespace microagent::virtio
