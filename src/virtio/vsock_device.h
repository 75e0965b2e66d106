#pragma once

#include <array>
#include <cstdint>
#include <optional>
#include <span>

#include "base/pieces.h"
#include "virtio/vhost_session.h"
#include "wire/vsock.h"

namespace microagent::virtio {

// One packet of the guest: a checked copy of its header, and its data, which lies in guest memory until done().
struct VsockPacket {
  wire::VsockHeader header;
  wire::VsockError error = wire::VsockError::none;
  std::span<const iovec> data;  // exactly header.length bytes when there is no error
};

// The virtio socket device (VIRTIO 1.2, 5.10) on a vhost-user session: queue 0 to the guest, queue 1 from it. Queue 2
// is for events, of which we have none: the host's CID never changes.
class VsockDevice {
 public:
  static constexpr std::size_t kReceiveQueue = 0;
  static constexpr std::size_t kTransmitQueue = 1;

  // `config` is borrowed by the profile and must outlive the session.
  static DeviceProfile profile(const wire::VsockConfig& config);

  VsockDevice(VhostSession& session, std::uint64_t guest_cid) : session_(session), guest_cid_(guest_cid) {}

  bool running() const;

  // The guest's next packet; done() before the next. False when there is none.
  bool next(VsockPacket& out);
  void done();

  // A buffer of the guest for one packet: the room for its data, never empty, or nothing when none is posted. Ends with
  // commit() or abandon().
  std::optional<std::span<const iovec>> reserve();
  // Gives the packet to the guest; header.length bytes of data are in the room already.
  void commit(const wire::VsockHeader& header);
  void abandon();

  void flush();
  bool await_packets() { return transmit_queue().ring().enable_notifications(); }
  bool await_room() { return receive_queue().ring().enable_notifications(); }

 private:
  Vring& receive_queue() { return session_.queue(kReceiveQueue); }
  Vring& transmit_queue() { return session_.queue(kTransmitQueue); }

  VhostSession& session_;
  std::uint64_t guest_cid_;
  std::array<iovec, kMaxQueueSize> packet_{};
  std::uint16_t packet_head_ = 0;
  std::array<iovec, kMaxQueueSize> room_{};
  Chain reserved_;
  HeaderRoom<wire::VsockHeader> header_room_;
};

}  // namespace microagent::virtio
