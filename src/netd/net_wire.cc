#include "netd/net_wire.h"

#include "base/check.h"

namespace microagent::netd {

netstack::Wire::Abilities NetWire::abilities() const {
  if (device_ == nullptr) return {};
  return Abilities{.csum = device_->has(wire::kNetGuestCsum),
                   .tso4 = device_->has(wire::kNetGuestTso4),
                   .tso6 = device_->has(wire::kNetGuestTso6),
                   .uso = false};
}

std::span<const iovec> NetWire::reserve(std::size_t bytes) {
  const auto room = device_ == nullptr ? std::span<const iovec>{} : device_->reserve(bytes);
  if (room.empty()) room_wanted_ = true;
  return room;
}

void NetWire::commit(std::size_t bytes, const netstack::Offload& offload) {
  MICROAGENT_CHECK(device_ != nullptr);
  wire::NetHeader header;
  header.flags = offload.flags;
  header.gso_type = offload.gso_type;
  header.header_length = offload.hdr_len;
  header.gso_size = offload.gso_size;
  header.csum_start = offload.csum_start;
  header.csum_offset = offload.csum_offset;
  device_->commit(bytes, header);
}

void NetWire::abandon() {
  MICROAGENT_CHECK(device_ != nullptr);
  device_->abandon();
}

void NetWire::on_frame(std::span<const iovec> pieces, std::size_t bytes, const wire::NetHeader& header) {
  stack_->on_frame(pieces, bytes,
                   netstack::Offload{.flags = header.flags,
                                     .gso_type = header.gso_type,
                                     .hdr_len = header.header_length,
                                     .gso_size = header.gso_size,
                                     .csum_start = header.csum_start,
                                     .csum_offset = header.csum_offset});
}

}  // namespace microagent::netd
