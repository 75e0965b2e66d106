#pragma once

#include <cstdint>
#include <span>
#include <utility>

#include "base/fd.h"
#include "base/result.h"
#include "virtio/guest_memory.h"
#include "virtio/ring.h"

namespace microagent::virtio {

// A ring as vhost-user configures it, piece by piece, with its notification descriptors. It runs while it has a kick
// descriptor, is enabled, and its addresses lie in memory.
class Vring {
 public:
  Ring& ring() { return ring_; }
  const Ring& ring() const { return ring_; }
  bool running() const { return ring_.running(); }
  // Whether it was started at a place where a driver had been before: one that begins anew begins at 0.
  bool goes_on() const { return started_at_ != 0; }

  // How often it was halted: a ring that was, and runs again, may do so for another driver.
  std::uint64_t halts() const { return halts_; }

  void set_size(std::uint32_t size) { size_ = size; }
  void set_base(std::uint32_t base) { base_ = static_cast<std::uint16_t>(base); }
  void set_addresses(std::uint64_t descriptors, std::uint64_t available, std::uint64_t used);
  void set_call(Fd call);
  void set_error(Fd error);
  void set_enabled(bool enabled) { enabled_ = enabled; }

  // Takes the descriptor that the driver's notifications arrive on.
  void set_kick(Fd kick) { kick_ = std::move(kick); }
  int kick_fd() const { return kick_.get(); }

  // Starts or stops the ring as its settings now say. `changed`: memory or features did, so a running one starts anew
  // from where it is.
  void settle(const GuestMemory& memory, std::uint64_t features, bool changed);

  // get_vring_base: ends serving, returns where the driver may go on, and forgets the kick descriptor.
  std::uint16_t halt();

  // Ring::pop; a fault is noted for take_fault() and told to the front end, if it wanted to know.
  bool pop(std::span<iovec> room, Chain& out);
  // Stops the ring for what a chain of it held.
  void stop_for(RingFault fault);
  // The fault that stopped the ring, once.
  RingFault take_fault() { return std::exchange(new_fault_, RingFault::none); }

  // Shows used chains to the driver and interrupts it if it wants that.
  void flush();

 private:
  bool may_start(bool changed) const;
  void note_fault();

  Ring ring_;
  RingFault new_fault_ = RingFault::none;
  Fd kick_, call_, error_;
  std::uint32_t size_ = 0;
  std::uint16_t base_ = 0, started_at_ = 0;
  std::uint64_t descriptors_ = 0, available_ = 0, used_ = 0;
  std::uint64_t halts_ = 0;
  bool enabled_ = false;
};

// What a device shows its driver at the end of a batch. That a frame was taken is no news in itself, but an interrupt:
// a device that is about to look at its rings again may keep it for a moment, until there is something for the guest.
enum class Show : std::uint8_t { all, news };
void show(Vring& to_guest, Vring& from_guest, Show what);

}  // namespace microagent::virtio
