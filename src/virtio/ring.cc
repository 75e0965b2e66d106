#include "virtio/ring.h"

#include <algorithm>
#include <bit>

#include "virtio/shared_memory.h"

namespace microagent::virtio {
namespace {

using wire::RingDescriptor;

// VIRTIO 1.2, 2.7: alignment of the three parts.
constexpr std::uintptr_t kDescriptorAlignment = 16;
constexpr std::uintptr_t kAvailAlignment = 2;
constexpr std::uintptr_t kUsedAlignment = 4;

bool usable(const std::uint8_t* area, std::uintptr_t alignment) {
  return area != nullptr && reinterpret_cast<std::uintptr_t>(area) % alignment == 0;
}

// True when the index moved past `event` on its way from `before` to `now` (2.7.10).
bool passed_event(std::uint16_t event, std::uint16_t now, std::uint16_t before) {
  return static_cast<std::uint16_t>(now - event - 1) < static_cast<std::uint16_t>(now - before);
}

}  // namespace

std::string_view to_string(RingFault fault) {
  switch (fault) {
    case RingFault::none: return "none";
    case RingFault::size_not_allowed: return "queue size not allowed";
    case RingFault::areas_not_in_memory: return "ring outside memory or misaligned";
    case RingFault::index_jump: return "available index jumped";
    case RingFault::head_out_of_range: return "head out of range";
    case RingFault::next_out_of_range: return "next out of range";
    case RingFault::chain_too_long: return "chain too long or a loop";
    case RingFault::indirect_not_negotiated: return "indirect descriptor not negotiated";
    case RingFault::indirect_nested: return "nested indirect descriptor";
    case RingFault::indirect_with_next: return "indirect descriptor with a next";
    case RingFault::indirect_length: return "bad length of an indirect table";
    case RingFault::buffer_empty: return "empty buffer";
    case RingFault::buffer_not_in_memory: return "buffer outside memory";
    case RingFault::readable_after_writable: return "readable buffer after a writable one";
    case RingFault::wrong_direction: return "buffer of the wrong direction";
    case RingFault::header_missing: return "buffer too short for its header";
  }
  return "unknown";
}

RingFault Ring::start(const GuestMemory& memory, const Setup& setup) {
  stop();
  next_available_ = seen_available_ = setup.base;
  if (setup.size > kMaxQueueSize || !std::has_single_bit(setup.size)) return fault_ = RingFault::size_not_allowed;
  descriptors_ = memory.at_user(setup.descriptors, sizeof(RingDescriptor) * setup.size);
  available_ = memory.at_user(setup.available, wire::avail_bytes(setup.size));
  used_ = memory.at_user(setup.used, wire::used_bytes(setup.size));
  if (!usable(descriptors_, kDescriptorAlignment) || !usable(available_, kAvailAlignment) ||
      !usable(used_, kUsedAlignment)) {
    return fault_ = RingFault::areas_not_in_memory;
  }
  memory_ = &memory;
  size_ = setup.size;
  event_idx_ = setup.event_idx;
  indirect_ = setup.indirect;
  // A ring taken over in mid-run goes on where the driver last saw it.
  next_used_ = published_used_ = load_index(used_ + wire::kUsedIndexOffset);
  return RingFault::none;
}

void Ring::stop() {
  memory_ = nullptr;
  fault_ = RingFault::none;
}

void Ring::stop_for(RingFault fault) {
  stop();
  fault_ = fault;
}

bool Ring::refresh_available() {
  seen_available_ = load_index(available_ + wire::kAvailIndexOffset);
  if (static_cast<std::uint16_t>(seen_available_ - next_available_) <= size_) return true;
  stop_for(RingFault::index_jump);
  return false;
}

bool Ring::has_available() {
  if (!running()) return false;
  if (seen_available_ == next_available_ && !refresh_available()) return false;
  return seen_available_ != next_available_;
}

bool Ring::pop(std::span<iovec> room, Chain& out) {
  if (!has_available()) return false;
  const std::size_t slot = next_available_ & (size_ - 1);
  const std::uint16_t head = load_index(available_ + wire::kAvailRingOffset + 2 * slot);
  if (const RingFault fault = walk(head, room, out); fault != RingFault::none) {
    stop_for(fault);
    return false;
  }
  ++next_available_;
  return true;
}

// Where the walk looks descriptors up: the ring's own table, then perhaps an indirect one.
struct Ring::Table {
  const std::uint8_t* bytes = nullptr;
  std::size_t size = 0;  // descriptors
  bool indirect = false;
};

RingFault Ring::walk(std::uint16_t head, std::span<iovec> room, Chain& out) const {
  if (head >= size_) return RingFault::head_out_of_range;
  Table table{descriptors_, size_, false};
  room = room.first(std::min<std::size_t>(size_, room.size()));
  out = Chain{.head = head, .readable = room.first(0), .writable = room.first(0)};

  // Each turn takes one piece of `room`, or enters the only indirect table there may be: the walk ends.
  for (std::size_t index = head;;) {
    if (index >= table.size) return RingFault::next_out_of_range;
    const auto descriptor = copy_from_guest<RingDescriptor>(table.bytes + index * sizeof(RingDescriptor));
    if ((descriptor.flags & wire::kDescriptorIndirect) != 0) {
      if (const RingFault fault = enter_indirect(descriptor, table); fault != RingFault::none) return fault;
      index = 0;
      continue;
    }
    if (const RingFault fault = add_piece(descriptor, room, out); fault != RingFault::none) return fault;
    if ((descriptor.flags & wire::kDescriptorNext) == 0) return RingFault::none;
    index = descriptor.next;
  }
}

RingFault Ring::enter_indirect(const RingDescriptor& descriptor, Table& table) const {
  if (!indirect_) return RingFault::indirect_not_negotiated;
  if (table.indirect) return RingFault::indirect_nested;
  if ((descriptor.flags & wire::kDescriptorNext) != 0) return RingFault::indirect_with_next;
  const std::size_t count = descriptor.length / sizeof(RingDescriptor);
  if (descriptor.length % sizeof(RingDescriptor) != 0 || count == 0 || count > size_) return RingFault::indirect_length;
  const std::uint8_t* bytes = memory_->at(descriptor.address, descriptor.length);
  if (bytes == nullptr) return RingFault::buffer_not_in_memory;
  table = Table{bytes, count, true};
  return RingFault::none;
}

RingFault Ring::add_piece(const RingDescriptor& descriptor, std::span<iovec> room, Chain& out) const {
  const std::size_t pieces = out.readable.size() + out.writable.size();
  const bool writable = (descriptor.flags & wire::kDescriptorWrite) != 0;
  if (pieces == room.size()) return RingFault::chain_too_long;
  if (descriptor.length == 0) return RingFault::buffer_empty;
  if (!writable && !out.writable.empty()) return RingFault::readable_after_writable;
  std::uint8_t* bytes = memory_->at(descriptor.address, descriptor.length);
  if (bytes == nullptr) return RingFault::buffer_not_in_memory;

  room[pieces] = iovec{bytes, descriptor.length};
  if (writable) {
    out.writable = room.subspan(out.readable.size(), out.writable.size() + 1);
    out.writable_bytes += descriptor.length;
  } else {
    out.readable = room.first(pieces + 1);
    out.readable_bytes += descriptor.length;
  }
  return RingFault::none;
}

void Ring::push_used(std::uint16_t head, std::uint32_t written) {
  if (!running()) return;
  const std::size_t slot = next_used_ & (size_ - 1);
  copy_to_guest(used_ + wire::kUsedRingOffset + slot * sizeof(wire::UsedElement), wire::UsedElement{head, written});
  ++next_used_;
}

bool Ring::publish() {
  if (!running() || next_used_ == published_used_) return false;
  store_index(used_ + wire::kUsedIndexOffset, next_used_);
  // The driver writes its wish, then looks at our index; we write the index, then look at its wish.
  std::atomic_thread_fence(std::memory_order_seq_cst);
  const bool interrupt = wants_interrupt();
  published_used_ = next_used_;
  return interrupt;
}

bool Ring::wants_interrupt() const {
  if (event_idx_) {
    const std::uint16_t event = load_index(available_ + wire::avail_event_offset(size_));
    return passed_event(event, next_used_, published_used_);
  }
  return (load_index(available_ + wire::kAvailFlagsOffset) & wire::kAvailNoInterrupt) == 0;
}

bool Ring::enable_notifications() {
  if (!running()) return false;
  if (event_idx_) {
    store_index(used_ + wire::used_event_offset(size_), seen_available_);
  } else {
    store_index(used_ + wire::kUsedFlagsOffset, 0);
  }
  std::atomic_thread_fence(std::memory_order_seq_cst);
  const std::uint16_t before = seen_available_;
  return refresh_available() && seen_available_ != before;
}

void Ring::disable_notifications() {
  // With event_idx the driver is quiet by itself until its index passes the one it was last asked for.
  if (!running() || event_idx_) return;
  store_index(used_ + wire::kUsedFlagsOffset, wire::kUsedNoNotify);
}

}  // namespace microagent::virtio
