#pragma once

#include <cstdint>
#include <functional>
#include <optional>
#include <span>
#include <vector>

#include "base/fd.h"
#include "virtio/testing/driver_queue.h"
#include "virtio/testing/guest_ram.h"
#include "wire/vhost_user.h"

namespace microagent::virtio::testing {

// The front end's side of a vhost-user connection, standing in for QEMU.
class FrontEnd {
 public:
  // `pump` runs before a reply is read: a test with the back end in the same thread lets it work there.
  explicit FrontEnd(Fd socket, std::function<void()> pump = {});

  int fd() const { return socket_.get(); }

  void send(wire::VhostRequest request, ByteView payload, std::span<const int> files = {});
  void send_u64(wire::VhostRequest request, std::uint64_t value, std::span<const int> files = {});
  void send_state(wire::VhostRequest request, std::uint32_t index, std::uint32_t value);
  // Whatever bytes, as they are.
  void send_raw(ByteView bytes, std::span<const int> files = {});

  // Sends and waits for the answer's payload; nothing when the back end hung up.
  std::optional<std::vector<std::uint8_t>> ask(wire::VhostRequest request, ByteView payload = {});
  std::optional<std::uint64_t> ask_u64(wire::VhostRequest request);

  // What a driver's DRIVER_OK makes QEMU do: features, memory, rings 0, 1, ... , enable. Each queue's kick and call
  // eventfds are kept by index.
  void start(GuestRam& ram, std::span<DriverQueue* const> queues, std::uint64_t features);

  // What makes a guest stand still, and what lets it go on: the rings are halted, and started where they were.
  void stop();
  void go_on();

  void kick(std::size_t queue);
  // Takes the interrupts of a queue; how many came since the last time.
  std::uint64_t take_interrupts(std::size_t queue);
  int call_fd(std::size_t queue) const { return calls_[queue].get(); }

 private:
  std::optional<std::vector<std::uint8_t>> read_reply();

  Fd socket_;
  std::function<void()> pump_;
  std::vector<Fd> kicks_, calls_;
  std::vector<std::uint32_t> bases_;  // of a guest that stands still
};

}  // namespace microagent::virtio::testing
