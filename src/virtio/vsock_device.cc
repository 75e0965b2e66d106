#include "virtio/vsock_device.h"

#include "wire/virtio.h"

namespace microagent::virtio {

using wire::VsockHeader;

DeviceProfile VsockDevice::profile(const wire::VsockConfig& config) {
  return DeviceProfile{
      .features = wire::kRingIndirectDescriptors | wire::kRingEventIdx | wire::kVersion1,
      .protocol_features = wire::kVhostProtocolConfig | wire::kVhostProtocolReplyAck,
      .queue_count = 3,
      .config = bytes_of(config),
  };
}

bool VsockDevice::running() const {
  return session_.queue(kReceiveQueue).running() && session_.queue(kTransmitQueue).running();
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
  out.error = wire::check_vsock_header(out.header, guest_cid_, chain.readable_bytes - sizeof(VsockHeader));
  out.data = out.error == wire::VsockError::none ? keep_front(data, out.header.length) : data.first(0);
  return true;
}

void VsockDevice::done() { transmit_queue().ring().push_used(packet_head_, 0); }

std::optional<std::span<const iovec>> VsockDevice::reserve() {
  Vring& queue = receive_queue();
  if (!queue.pop(room_, reserved_)) return std::nullopt;
  if (!reserved_.readable.empty() || reserved_.writable_bytes <= sizeof(VsockHeader)) {
    queue.stop_for(reserved_.readable.empty() ? RingFault::header_missing : RingFault::wrong_direction);
    return std::nullopt;
  }
  return header_room_.take(std::span(room_).first(reserved_.writable.size()));
}

void VsockDevice::commit(const VsockHeader& header) {
  header_room_.write(header);
  receive_queue().ring().push_used(reserved_.head, static_cast<std::uint32_t>(sizeof header) + header.length);
}

void VsockDevice::abandon() { receive_queue().ring().unpop(1); }

void VsockDevice::flush() {
  receive_queue().flush();
  transmit_queue().flush();
}

}  // namespace microagent::virtio
