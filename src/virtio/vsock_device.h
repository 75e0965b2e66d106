#pragma once

#include <array>
#include <cstdint>
#include <span>

#include "base/pieces.h"
#include "virtio/vhost_session.h"
#include "wire/virtio.h"
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
  // Whether the driver went on where it was when its rings were started last, and did not begin anew.
  bool goes_on() const;
  bool has_seqpacket() const { return (session_.features() & wire::kVsockSeqpacket) != 0; }

  // The guest's next packet; done() before the next. False when there is none.
  bool next(VsockPacket& out);
  void done();

  // Room for `bytes` bytes of data, in as many of the guest's buffers as they take: one packet each, at least one, at
  // most kMaxBatch. Less room when the guest has not posted more; none at all when it has posted nothing. Ends with
  // commit() or abandon().
  std::span<const iovec> reserve(std::size_t bytes);
  // Gives the guest the first `bytes` bytes of the room, which are there already, as packets with `header`; their
  // length is filled in here. The last one has `last_flags` too. Buffers that are not needed stay posted.
  void commit(wire::VsockHeader header, std::size_t bytes = 0, std::uint32_t last_flags = 0);
  void abandon();
  static constexpr std::size_t kMaxBatch = 64;
  // Whether the last reserve() ended because it had taken as much as it may.
  bool reserved_all_it_may() const { return buffer_count_ == kMaxBatch || room_count_ >= kMaxPieces; }

  // Shows the guest what was done, with at most one interrupt a queue.
  void flush(Show what = Show::all) { show(receive_queue(), transmit_queue(), what); }
  bool await_packets() { return transmit_queue().ring().enable_notifications(); }
  bool await_room() { return receive_queue().ring().enable_notifications(); }

 private:
  // Beyond this many pieces a reservation takes no further buffer.
  static constexpr std::size_t kMaxPieces = 256;

  struct Buffer {
    std::uint16_t head = 0;
    std::size_t bytes = 0;  // of data, without the header
    HeaderRoom<wire::VsockHeader> header;
  };

  bool add_buffer();
  Vring& receive_queue() { return session_.queue(kReceiveQueue); }
  Vring& transmit_queue() { return session_.queue(kTransmitQueue); }

  VhostSession& session_;
  std::uint64_t guest_cid_;
  std::array<iovec, kMaxQueueSize> packet_{};
  std::uint16_t packet_head_ = 0;
  // The reservation: its buffers, and the pieces of their data one after the other.
  std::array<Buffer, kMaxBatch> buffers_{};
  std::size_t buffer_count_ = 0;
  std::array<iovec, kMaxQueueSize> chain_{};
  std::array<iovec, kMaxPieces + kMaxQueueSize> room_{};
  std::size_t room_count_ = 0;
};

}  // namespace microagent::virtio
