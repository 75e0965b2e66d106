#pragma once

#include <cstddef>

#include "netstack/stack.h"
#include "virtio/vring.h"

namespace microagent::netd {

// What carries the guest's Ethernet frames: a vhost-user device (net_port.h) or a tap (tap_port.h). Towards the stack
// it is a wire; towards the loop it is a queue that is emptied in batches.
class FrontEnd : public netstack::Wire {
 public:
  // The loop was woken because of it.
  virtual void on_kick() {}
  // Gives the stack at most `budget` frames of the guest; returns how many. Fewer means that there are no more. The
  // frames' memory is the guest's again after flush().
  virtual std::size_t receive(netstack::Stack& stack, std::size_t budget) = 0;
  // The end of a batch: shows the guest what was done, or only what it waits for when there will be another at once.
  virtual void flush(virtio::Show what) = 0;
  // Asks to be woken when the guest sends, or makes room. True when it has already.
  virtual bool await_frames() = 0;
  virtual bool await_room() = 0;
};

}  // namespace microagent::netd
