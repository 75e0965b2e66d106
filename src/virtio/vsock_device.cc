#include "virtio/vsock_device.h"

#include <algorithm>

#include "base/check.h"
#include "wire/virtio.h"

namespace microagent::virtio {

using wire::VsockHeader;

DeviceProfile VsockDevice::profile(const wire::VsockConfig& config) {
  return DeviceProfile{
      .features = wire::kVsockSeqpacket | wire::kRingIndirectDescriptors | wire::kRingEventIdx | wire::kVersion1,
      .protocol_features = wire::kVhostProtocolConfig | wire::kVhostProtocolReplyAck,
      .queue_count = 3,
      .config = bytes_of(config),
  };
}

bool VsockDevice::running() const {
  return session_.queue(kReceiveQueue).running() && session_.queue(kTransmitQueue).running();
}

bool VsockDevice::goes_on() const {
  return session_.queue(kReceiveQueue).goes_on() || session_.queue(kTransmitQueue).goes_on();
}

bool VsockDevice::next(VsockPacket& out) {
  Vring& queue = transmit_queue();
  queue.ring().disable_notifications();
  Chain chain;
  if (!queue.pop(packet_, chain)) return false;
  if (!chain.writable.empty() || chain.readable_bytes < sizeof(VsockHeader)) {
    queue.stop_for(chain.writable.empty() ? RingFault::header_missing : RingFault::wrong_direction);
    return false;
  }
  packet_head_ = chain.head;
  const auto data = take_front(std::span(packet_).first(chain.readable.size()), sizeof(VsockHeader),
                               reinterpret_cast<std::uint8_t*>(&out.header));
  out.error =
      wire::check_vsock_header(out.header, guest_cid_, chain.readable_bytes - sizeof(VsockHeader), has_seqpacket());
  out.data = out.error == wire::VsockError::none ? keep_front(data, out.header.length) : data.first(0);
  return true;
}

void VsockDevice::done() { transmit_queue().ring().push_used(packet_head_, 0); }

std::span<const iovec> VsockDevice::reserve(std::size_t bytes) {
  MICROAGENT_CHECK(buffer_count_ == 0);
  std::size_t gathered = 0;
  while ((buffer_count_ == 0 || gathered < bytes) && add_buffer()) gathered += buffers_[buffer_count_ - 1].bytes;
  const auto room = std::span(room_).first(room_count_);
  return gathered > bytes && bytes > 0 ? keep_front(room, bytes) : room;
}

// Adds the guest's next buffer to the reservation.
bool VsockDevice::add_buffer() {
  if (buffer_count_ == kMaxBatch || room_count_ >= kMaxPieces) return false;
  Vring& queue = receive_queue();
  Chain chain;
  if (!queue.pop(chain_, chain)) return false;
  if (!chain.readable.empty() || chain.writable_bytes <= sizeof(VsockHeader)) {
    queue.stop_for(chain.readable.empty() ? RingFault::header_missing : RingFault::wrong_direction);
    return false;
  }
  Buffer& buffer = buffers_[buffer_count_++];
  buffer.head = chain.head;
  buffer.bytes = chain.writable_bytes - sizeof(VsockHeader);
  const auto data = buffer.header.take(std::span(chain_).first(chain.writable.size()));
  std::ranges::copy(data, room_.begin() + static_cast<std::ptrdiff_t>(room_count_));
  room_count_ += data.size();
  return true;
}

void VsockDevice::commit(VsockHeader header, std::size_t bytes, std::uint32_t last_flags) {
  MICROAGENT_CHECK(buffer_count_ != 0);
  Ring& ring = receive_queue().ring();
  std::size_t filled = 0;
  do {
    const Buffer& buffer = buffers_[filled++];
    const std::size_t length = std::min(bytes, buffer.bytes);
    bytes -= length;
    header.length = static_cast<std::uint32_t>(length);
    if (bytes == 0) header.flags = header.flags | last_flags;
    buffer.header.write(header);
    ring.push_used(buffer.head, static_cast<std::uint32_t>(sizeof header + length));
  } while (bytes > 0 && filled < buffer_count_);
  MICROAGENT_CHECK(bytes == 0);
  ring.unpop(static_cast<std::uint16_t>(buffer_count_ - filled));
  buffer_count_ = room_count_ = 0;
}

void VsockDevice::abandon() {
  receive_queue().ring().unpop(static_cast<std::uint16_t>(buffer_count_));
  buffer_count_ = room_count_ = 0;
}

}  // namespace microagent::virtio
