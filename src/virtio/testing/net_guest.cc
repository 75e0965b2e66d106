#include "virtio/testing/net_guest.h"

#include <algorithm>
#include <cstring>

#include "base/check.h"

namespace microagent::virtio::testing {

using wire::NetHeader;

NetGuest::NetGuest() : sent_at_(ram.allocate(128 * 1024)) {}

void NetGuest::start(FrontEnd& front, std::uint64_t features, int buffers) {
  front.start(ram, std::array{&rx, &tx}, features);
  post_receive(buffers);
}

void NetGuest::post_receive(int count) {
  for (int i = 0; i < count; ++i) post(ram.allocate(kReceiveBuffer));
}

void NetGuest::post(std::uint64_t address) {
  const auto head = rx.add(std::array{DriverBuffer{address, kReceiveBuffer, true}});
  MICROAGENT_CHECK(head.has_value());
  receive_addresses_[*head] = address;
}

// All frames lie at one place: whoever offers a second before the first was taken overwrites it.
bool NetGuest::offer(ByteView frame, const NetHeader& header) {
  while (tx.take_used()) {
  }
  std::memcpy(ram.at(sent_at_), &header, sizeof header);
  std::ranges::copy(frame, ram.at(sent_at_ + sizeof header));
  return tx.add(std::array{DriverBuffer{sent_at_, static_cast<std::uint32_t>(sizeof header + frame.size())}})
      .has_value();
}

std::vector<NetGuest::Frame> NetGuest::received() {
  std::vector<Frame> frames;
  std::uint16_t buffers_left = 0;
  while (const auto used = rx.take_used()) {
    const std::uint64_t address = receive_addresses_[used->id];
    const std::uint8_t* start = ram.at(address);
    const std::uint8_t* end = start + used->length;
    if (buffers_left == 0) {
      Frame frame;
      std::memcpy(&frame.header, start, sizeof frame.header);
      start += sizeof frame.header;
      buffers_left = frame.header.buffer_count;
      frames.push_back(std::move(frame));
    }
    frames.back().bytes.insert(frames.back().bytes.end(), start, end);
    --buffers_left;
    post(address);
  }
  return frames;
}

}  // namespace microagent::virtio::testing
