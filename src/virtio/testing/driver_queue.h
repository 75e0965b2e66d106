#pragma once

#include <cstdint>
#include <optional>
#include <span>
#include <vector>

#include "virtio/ring.h"
#include "virtio/testing/guest_ram.h"
#include "wire/virtio.h"

namespace microagent::virtio::testing {

struct DriverBuffer {
  std::uint64_t address = 0;
  std::uint32_t length = 0;
  bool device_writes = false;
};

// The driver's side of a split virtqueue: an honest driver by its methods, a hostile one by write_descriptor() and
// write_available().
class DriverQueue {
 public:
  DriverQueue(GuestRam& ram, std::uint16_t size, bool event_idx);

  Ring::Setup setup(bool indirect) const;
  std::uint16_t size() const { return size_; }
  std::uint64_t descriptors() const { return descriptors_; }
  std::uint64_t available() const { return available_; }
  std::uint64_t used() const { return used_; }

  // Makes a chain of the buffers and offers it. Returns its head, or nothing when descriptors have run out.
  std::optional<std::uint16_t> add(std::span<const DriverBuffer> buffers);
  // The same through an indirect table.
  std::optional<std::uint16_t> add_indirect(std::span<const DriverBuffer> buffers);
  // The next chain that the device gave back; its descriptors are free again.
  std::optional<wire::UsedElement> take_used();
  // Whether the device wants a notification for what was offered since the last call.
  bool should_notify();

  void write_descriptor(std::uint16_t index, const wire::RingDescriptor& descriptor);
  // Offers a head, whatever its descriptor says.
  void offer(std::uint16_t head);
  void set_available_index(std::uint16_t index);
  std::uint16_t used_index() const;
  std::uint16_t avail_event() const;

 private:
  GuestRam& ram_;
  std::uint16_t size_;
  bool event_idx_;
  std::uint64_t descriptors_, available_, used_, indirect_tables_;
  std::vector<std::uint16_t> free_;
  std::vector<std::vector<std::uint16_t>> chains_;  // by head
  std::uint16_t next_available_ = 0;
  std::uint16_t notified_ = 0;
  std::uint16_t next_used_ = 0;
};

}  // namespace microagent::virtio::testing
