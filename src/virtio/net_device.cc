#include "virtio/net_device.h"

#include <algorithm>

#include "base/check.h"

namespace microagent::virtio {

using wire::NetHeader;

DeviceProfile NetDevice::profile() {
  return DeviceProfile{
      .features = wire::kNetCsum | wire::kNetGuestCsum | wire::kNetMtu | wire::kNetGuestTso4 | wire::kNetGuestTso6 |
                  wire::kNetHostTso4 | wire::kNetHostTso6 | wire::kNetMergeRxBuffers | wire::kRingIndirectDescriptors |
                  wire::kRingEventIdx | wire::kVersion1,
      .protocol_features = wire::kVhostProtocolMtu | wire::kVhostProtocolReplyAck,
      .queue_count = 2,
      .config = {},
  };
}

bool NetDevice::running() const {
  return session_.queue(kReceiveQueue).running() && session_.queue(kTransmitQueue).running();
}

std::size_t NetDevice::transmit(FrameSink& sink, std::size_t budget) {
  Vring& queue = transmit_queue();
  queue.ring().disable_notifications();
  std::size_t taken = 0;
  Chain chain;
  while (taken < budget && queue.pop(frame_, chain)) {
    ++taken;
    if (!chain.writable.empty()) {
      queue.stop_for(RingFault::wrong_direction);
      break;
    }
    if (chain.readable_bytes < sizeof(NetHeader)) {
      queue.stop_for(RingFault::header_missing);
      break;
    }
    take_frame(chain, sink);
    queue.ring().push_used(chain.head, 0);
  }
  return taken;
}

void NetDevice::take_frame(const Chain& chain, FrameSink& sink) {
  const std::size_t bytes = chain.readable_bytes - sizeof(NetHeader);
  if (bytes == 0 || bytes > kMaxFrame) {
    ++(bytes == 0 ? counters_.empty : counters_.oversized);
    return;
  }
  NetHeader header;
  const auto frame = take_front(std::span(frame_).first(chain.readable.size()), sizeof header,
                                reinterpret_cast<std::uint8_t*>(&header));
  if (!offload_allowed(header)) {
    ++counters_.bad_offload;
    return;
  }
  sink.on_frame(frame, bytes, header);
}

bool NetDevice::offload_allowed(const NetHeader& header) const {
  if ((header.flags & wire::kNetHeaderNeedsCsum) != 0 && !has(wire::kNetCsum)) return false;
  switch (header.gso_type) {
    case wire::kNetHeaderGsoNone: return true;
    case wire::kNetHeaderGsoTcp4: return has(wire::kNetHostTso4);
    case wire::kNetHeaderGsoTcp6: return has(wire::kNetHostTso6);
    default: return false;
  }
}

std::span<const iovec> NetDevice::reserve(std::size_t bytes) {
  MICROAGENT_CHECK(buffer_count_ == 0 && bytes > 0);
  if (bytes > kMaxFrame) return {};
  const std::size_t wanted = bytes + sizeof(NetHeader);
  for (std::size_t gathered = 0; gathered < wanted;) {
    if (buffer_count_ != 0 && !has(wire::kNetMergeRxBuffers)) return abandon(), std::span<const iovec>{};
    if (!add_buffer(gathered)) return abandon(), std::span<const iovec>{};
  }
  return keep_front(header_room_.take(std::span(room_).first(room_count_)), bytes);
}

// Adds the guest's next buffer to the reservation.
bool NetDevice::add_buffer(std::size_t& gathered) {
  if (buffer_count_ == kMaxPieces || room_count_ >= kMaxPieces) return false;
  Vring& queue = receive_queue();
  Chain chain;
  if (!queue.pop(std::span(room_).subspan(room_count_), chain)) return false;
  const bool has_header_room = buffer_count_ != 0 || chain.writable_bytes >= sizeof(NetHeader);
  if (!chain.readable.empty() || !has_header_room) {
    queue.stop_for(chain.readable.empty() ? RingFault::header_missing : RingFault::wrong_direction);
    return false;
  }
  buffers_[buffer_count_++] = Buffer{chain.head, chain.writable_bytes};
  room_count_ += chain.writable.size();
  gathered += chain.writable_bytes;
  return true;
}

void NetDevice::commit(std::size_t bytes, NetHeader header) {
  MICROAGENT_CHECK(buffer_count_ != 0);
  Ring& ring = receive_queue().ring();
  std::size_t left = bytes + sizeof(NetHeader);
  std::uint16_t filled = 0;
  for (; filled < buffer_count_ && left > 0; ++filled) {
    const std::size_t written = std::min(left, buffers_[filled].bytes);
    ring.push_used(buffers_[filled].head, static_cast<std::uint32_t>(written));
    left -= written;
  }
  MICROAGENT_CHECK(left == 0);
  ring.unpop(static_cast<std::uint16_t>(buffer_count_ - filled));

  header.buffer_count = filled;
  header_room_.write(header);
  buffer_count_ = room_count_ = 0;
}

void NetDevice::abandon() {
  receive_queue().ring().unpop(static_cast<std::uint16_t>(buffer_count_));
  buffer_count_ = room_count_ = 0;
}

}  // namespace microagent::virtio
