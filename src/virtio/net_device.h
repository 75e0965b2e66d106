#pragma once

#include <array>
#include <cstdint>
#include <span>

#include "base/pieces.h"
#include "virtio/vhost_session.h"
#include "wire/virtio.h"

namespace microagent::virtio {

// Who takes the frames that the guest sends.
class FrameSink {
 public:
  virtual ~FrameSink() = default;
  // `pieces` lie in guest memory, first byte of the Ethernet header first, and are valid during the call only. `header`
  // is a copy and asks for no offload that was not negotiated.
  virtual void on_frame(std::span<const iovec> pieces, std::size_t bytes, const wire::NetHeader& header) = 0;
};

// The virtio network device (VIRTIO 1.2, 5.1) on a vhost-user session: queue 0 to the guest, queue 1 from it.
class NetDevice {
 public:
  // The largest frame in either direction: Ethernet header and the largest IP packet.
  static constexpr std::size_t kMaxFrame = 14 + 65'535;
  static constexpr std::size_t kReceiveQueue = 0;
  static constexpr std::size_t kTransmitQueue = 1;

  static DeviceProfile profile();

  explicit NetDevice(VhostSession& session) : session_(session) {}

  bool running() const;
  bool has(std::uint64_t feature) const { return (session_.features() & feature) != 0; }

  // Gives the sink at most `budget` frames of the guest; returns how many. Fewer means that the queue is empty.
  std::size_t transmit(FrameSink& sink, std::size_t budget);

  // Room for one frame of at most `bytes` to the guest, gathered from as many of its buffers as needed: exactly `bytes`
  // long, or empty when the guest has not posted enough. Ends with commit() or abandon().
  std::span<const iovec> reserve(std::size_t bytes);
  // Gives the reserved frame, its first `bytes` bytes, to the guest. The device fills in the buffer count.
  void commit(std::size_t bytes, wire::NetHeader header);
  void abandon();

  // Shows the guest what was done, with at most one interrupt a queue.
  void flush(Show what = Show::all) { show(receive_queue(), transmit_queue(), what); }
  // Asks for a notification when the guest sends (or posts buffers). True when it has already.
  bool await_frames() { return transmit_queue().ring().enable_notifications(); }
  bool await_room() { return receive_queue().ring().enable_notifications(); }
  bool has_frames() { return transmit_queue().ring().has_available(); }

  struct Counters {
    std::uint64_t empty = 0, oversized = 0, bad_offload = 0;
  };
  const Counters& counters() const { return counters_; }

 private:
  // Beyond this many pieces one frame takes no further buffer: a guest that posts crumbs gets no large frames.
  static constexpr std::size_t kMaxPieces = 256;

  struct Buffer {
    std::uint16_t head = 0;
    std::size_t bytes = 0;
  };

  Vring& receive_queue() { return session_.queue(kReceiveQueue); }
  Vring& transmit_queue() { return session_.queue(kTransmitQueue); }
  bool offload_allowed(const wire::NetHeader& header) const;
  void take_frame(const Chain& chain, FrameSink& sink);
  bool add_buffer(std::size_t& gathered);

  VhostSession& session_;
  Counters counters_;
  std::array<iovec, kMaxQueueSize> frame_{};  // the frame being transmitted
  // The reservation: its buffers, and their pieces one after the other.
  std::array<Buffer, kMaxPieces> buffers_{};
  std::size_t buffer_count_ = 0;
  std::array<iovec, kMaxPieces + kMaxQueueSize> room_{};
  std::size_t room_count_ = 0;
  HeaderRoom<wire::NetHeader> header_room_;
};

}  // namespace microagent::virtio
