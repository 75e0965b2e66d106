#include "virtio/testing/vsock_guest.h"

#include <algorithm>
#include <cstring>

#include "base/check.h"
#include "wire/agent.h"

namespace microagent::virtio::testing {

using wire::VsockHeader;

VsockGuest::VsockGuest(std::uint64_t cid) : cid_(cid), sent_at_(ram.allocate(1 << 20)) {}

void VsockGuest::start(FrontEnd& front, std::uint64_t features, int buffers) {
  front.start(ram, std::array{&rx, &tx}, features);
  post_receive(buffers);
}

void VsockGuest::post_receive(int count) {
  for (int i = 0; i < count; ++i) post(ram.allocate(kPacketRoom + sizeof(VsockHeader)));
}

void VsockGuest::post_again(int count) {
  for (int i = 0; i < count; ++i) {
    MICROAGENT_CHECK(!received_addresses_.empty());
    post(received_addresses_.back());
    received_addresses_.pop_back();
  }
}

void VsockGuest::post(std::uint64_t address) {
  const auto head = rx.add(std::array{DriverBuffer{address, sizeof(VsockHeader), true},
                                      DriverBuffer{address + sizeof(VsockHeader), kPacketRoom, true}});
  MICROAGENT_CHECK(head.has_value());
  receive_addresses_[*head] = address;
}

VsockHeader VsockGuest::header(wire::VsockOp op, std::uint32_t guest_port, std::uint32_t host_port) const {
  VsockHeader out;
  out.source_cid = cid_;
  out.destination_cid = wire::kHostCid;
  out.source_port = guest_port;
  out.destination_port = host_port;
  out.type = wire::kVsockStream;
  out.op = static_cast<std::uint16_t>(op);
  out.buffer_size = kBuffer;
  out.forwarded_count = forwarded;
  return out;
}

// All packets lie at one place: whoever offers a second before the first was taken overwrites it.
bool VsockGuest::offer(const VsockHeader& header, std::string_view data) {
  while (tx.take_used()) {
  }
  std::memcpy(ram.at(sent_at_), &header, sizeof header);
  std::ranges::copy(data, ram.at(sent_at_ + sizeof header));
  const auto size = static_cast<std::uint32_t>(sizeof header + data.size());
  return tx.add(std::array{DriverBuffer{sent_at_, size}}).has_value();
}

std::vector<VsockGuestPacket> VsockGuest::received() {
  std::vector<VsockGuestPacket> packets;
  while (const auto used = rx.take_used()) {
    VsockGuestPacket packet;
    const std::uint64_t address = receive_addresses_[used->id];
    received_addresses_.push_back(address);
    std::memcpy(&packet.header, ram.at(address), sizeof packet.header);
    MICROAGENT_CHECK(used->length == sizeof(VsockHeader) + packet.header.length);
    packet.data.assign(reinterpret_cast<const char*>(ram.at(address + sizeof(VsockHeader))), packet.header.length);
    packets.push_back(std::move(packet));
  }
  return packets;
}

}  // namespace microagent::virtio::testing
