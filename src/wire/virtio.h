#pragma once

// What a virtio driver and device share: feature bits, the split ring's structures and the network header. Numbers and
// layouts from "Virtual I/O Device (VIRTIO) Version 1.2": 2.7 (split virtqueues), 5.1 (network), 5.10 (socket), 6
// (feature bits).

#include <cstdint>

#include "base/bytes.h"

namespace microagent::wire {

constexpr std::uint64_t feature_bit(unsigned bit) { return std::uint64_t{1} << bit; }

// Network device, 5.1.3.
inline constexpr std::uint64_t kNetCsum = feature_bit(0);       // the driver may leave checksums to the device
inline constexpr std::uint64_t kNetGuestCsum = feature_bit(1);  // the device may leave checksums to the driver
inline constexpr std::uint64_t kNetMtu = feature_bit(3);
inline constexpr std::uint64_t kNetGuestTso4 = feature_bit(7);  // large TCP frames to the guest
inline constexpr std::uint64_t kNetGuestTso6 = feature_bit(8);
inline constexpr std::uint64_t kNetHostTso4 = feature_bit(11);  // large TCP frames from the guest
inline constexpr std::uint64_t kNetHostTso6 = feature_bit(12);
inline constexpr std::uint64_t kNetMergeRxBuffers = feature_bit(15);

// Socket device, 5.10.3.
inline constexpr std::uint64_t kVsockSeqpacket = feature_bit(1);

// Every device, 6.
inline constexpr std::uint64_t kRingIndirectDescriptors = feature_bit(28);
inline constexpr std::uint64_t kRingEventIdx = feature_bit(29);
inline constexpr std::uint64_t kVersion1 = feature_bit(32);

// Descriptor flags, 2.7.5.
inline constexpr std::uint16_t kDescriptorNext = 1;
inline constexpr std::uint16_t kDescriptorWrite = 2;  // for the device to write
inline constexpr std::uint16_t kDescriptorIndirect = 4;

struct RingDescriptor {
  le64 address;  // guest physical
  le32 length;   // bytes
  le16 flags;
  le16 next;
};
static_assert(sizeof(RingDescriptor) == 16 && alignof(RingDescriptor) == 1);

// 2.7.6: flags, idx, ring[size], used_event. Byte offsets within the available ring.
inline constexpr std::uint16_t kAvailNoInterrupt = 1;
inline constexpr std::size_t kAvailFlagsOffset = 0;
inline constexpr std::size_t kAvailIndexOffset = 2;
inline constexpr std::size_t kAvailRingOffset = 4;
constexpr std::size_t avail_event_offset(std::size_t queue_size) { return kAvailRingOffset + 2 * queue_size; }
constexpr std::size_t avail_bytes(std::size_t queue_size) { return avail_event_offset(queue_size) + 2; }

// 2.7.8: flags, idx, ring[size], avail_event. Byte offsets within the used ring.
inline constexpr std::uint16_t kUsedNoNotify = 1;
inline constexpr std::size_t kUsedFlagsOffset = 0;
inline constexpr std::size_t kUsedIndexOffset = 2;
inline constexpr std::size_t kUsedRingOffset = 4;

struct UsedElement {
  le32 id;      // head of the chain
  le32 length;  // bytes the device wrote
};
static_assert(sizeof(UsedElement) == 8);

constexpr std::size_t used_event_offset(std::size_t queue_size) {
  return kUsedRingOffset + sizeof(UsedElement) * queue_size;
}
constexpr std::size_t used_bytes(std::size_t queue_size) { return used_event_offset(queue_size) + 2; }

// 5.1.6: stands before every frame, in both directions.
inline constexpr std::uint8_t kNetHeaderNeedsCsum = 1;
inline constexpr std::uint8_t kNetHeaderDataValid = 2;
inline constexpr std::uint8_t kNetHeaderGsoNone = 0;
inline constexpr std::uint8_t kNetHeaderGsoTcp4 = 1;
inline constexpr std::uint8_t kNetHeaderGsoTcp6 = 4;
inline constexpr std::uint8_t kNetHeaderGsoUdp = 5;  // many datagrams of one size (VIRTIO 1.3, USO)
inline constexpr std::uint8_t kNetHeaderGsoEcn = 0x80;

struct NetHeader {
  std::uint8_t flags = 0;
  std::uint8_t gso_type = 0;
  le16 header_length;
  le16 gso_size;
  le16 csum_start;
  le16 csum_offset;
  le16 buffer_count;  // how many receive buffers the frame fills; 0 from the driver
};
static_assert(sizeof(NetHeader) == 12 && alignof(NetHeader) == 1);

}  // namespace microagent::wire
