#pragma once

#include <sys/uio.h>

#include <cstdint>
#include <span>
#include <string_view>

#include "virtio/guest_memory.h"
#include "wire/virtio.h"

namespace microagent::virtio {

inline constexpr std::uint16_t kMaxQueueSize = 1024;

// What a driver did wrong. A ring that shows one of these is stopped until it is set up anew; no other ring is touched.
enum class RingFault : std::uint8_t {
  none,
  size_not_allowed,     // not a power of two, 0, or over kMaxQueueSize
  areas_not_in_memory,  // descriptor table, available or used ring outside memory or misaligned
  index_jump,           // more available entries than the queue has
  head_out_of_range,
  next_out_of_range,
  chain_too_long,  // more descriptors than the queue has, which a loop also is
  indirect_not_negotiated,
  indirect_nested,
  indirect_with_next,
  indirect_length,  // not a multiple of a descriptor, empty, or longer than the queue
  buffer_empty,
  buffer_not_in_memory,
  readable_after_writable,
  wrong_direction,  // writable where the device only reads, or the reverse
  header_missing,   // too short for the header that every buffer of this queue begins with
};

std::string_view to_string(RingFault fault);

// One descriptor chain. The pieces point into guest memory and into the room given to pop().
struct Chain {
  std::uint16_t head = 0;
  std::span<const iovec> readable;
  std::span<const iovec> writable;
  std::size_t readable_bytes = 0;
  std::size_t writable_bytes = 0;
};

// The device's side of a split virtqueue (VIRTIO 1.2, 2.7), with indirect descriptors and event suppression.
//
// Each descriptor is copied out of guest memory once, checked, then used. Nothing here blocks, allocates or runs longer
// than the queue is long. The caller owns the notification descriptors.
class Ring {
 public:
  struct Setup {
    std::uint16_t size = 0;
    std::uint16_t base = 0;                                  // the available index to begin at
    std::uint64_t descriptors = 0, available = 0, used = 0;  // user addresses
    bool event_idx = false, indirect = false;
  };

  // Begins to serve. `memory` must outlive the ring's run. A fault leaves the ring stopped.
  RingFault start(const GuestMemory& memory, const Setup& setup);
  // Ends serving; pop() finds nothing from now on, and an earlier fault is forgotten.
  void stop();
  // Stops because of what the driver did.
  void stop_for(RingFault fault);

  bool running() const { return memory_ != nullptr; }
  RingFault fault() const { return fault_; }
  std::uint16_t next_available() const { return next_available_; }

  // Takes the next chain, its pieces written to `room`. False when there is none, or when the driver broke the rules:
  // then the ring has stopped and fault() says why. A chain with more pieces than `room` counts as too long.
  bool pop(std::span<iovec> room, Chain& out);
  // Gives back the last `count` popped chains, untouched, to be popped again.
  void unpop(std::uint16_t count) { next_available_ = static_cast<std::uint16_t>(next_available_ - count); }

  // Puts a chain among the used ones with `written` bytes in it; the driver sees it at publish().
  void push_used(std::uint16_t head, std::uint32_t written);
  // How many chains were pushed that the driver does not see yet.
  std::uint16_t unpublished() const { return static_cast<std::uint16_t>(next_used_ - published_used_); }
  // Shows all pushed chains to the driver. True when the driver wants to be interrupted for them.
  bool publish();

  // Asks the driver to notify us when it adds chains to those we have seen. True when it already has.
  bool enable_notifications();
  void disable_notifications();
  bool has_available();

 private:
  struct Table;
  RingFault walk(std::uint16_t head, std::span<iovec> room, Chain& out) const;
  RingFault enter_indirect(const wire::RingDescriptor& descriptor, Table& table) const;
  RingFault add_piece(const wire::RingDescriptor& descriptor, std::span<iovec> room, Chain& out) const;
  bool refresh_available();
  bool wants_interrupt() const;

  const GuestMemory* memory_ = nullptr;
  std::uint8_t* descriptors_ = nullptr;
  std::uint8_t* available_ = nullptr;
  std::uint8_t* used_ = nullptr;
  std::uint16_t size_ = 0;
  std::uint16_t next_available_ = 0;
  std::uint16_t seen_available_ = 0;  // the driver's index when last read
  std::uint16_t next_used_ = 0;
  std::uint16_t published_used_ = 0;
  bool event_idx_ = false;
  bool indirect_ = false;
  RingFault fault_ = RingFault::none;
};

}  // namespace microagent::virtio
