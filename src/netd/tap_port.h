#pragma once

#include <array>
#include <memory>

#include "base/fd.h"
#include "base/result.h"
#include "netd/front_end.h"
#include "netd/poller.h"
#include "wire/virtio.h"

namespace microagent::netd {

// A tap device as a front end (Linux, Documentation/networking/tuntap.rst): one frame a read(2) or write(2), each
// behind a virtio_net_hdr, so that frames of 64 KiB with segmentation and checksums left out cross it whatever its MTU.
class TapPort final : public FrontEnd {
 public:
  // Takes a tap descriptor that is set up already (open_tap). Fails when it cannot be watched.
  static Result<std::unique_ptr<TapPort>> open(Fd tap, Poller& poller);
  ~TapPort() override;

  void on_kick() override { more_ = true; }
  std::size_t receive(netstack::Stack& stack, std::size_t budget) override;
  void flush(virtio::Show) override {}
  // Readiness is told by epoll's edges; the descriptor was read until it was empty.
  bool await_frames() override { return more_; }
  bool await_room() override { return false; }

  Abilities abilities() const override { return {.csum = true, .tso4 = true, .tso6 = true, .uso = false}; }
  std::span<const iovec> reserve(std::size_t bytes) override;
  void commit(std::size_t bytes, const netstack::Offload& offload) override;
  void abandon() override {}

 private:
  static constexpr std::size_t kBuffer = sizeof(wire::NetHeader) + 14 + 65'535;
  // Of one batch: many small frames, but no more bytes than the guest may well wait for to be acknowledged.
  static constexpr std::size_t kBatch = 64, kBatchBytes = 1024 * 1024;
  // The stack may keep pointing at frames until flush(): these lie one behind the other. Where it does not, all lie at
  // the front, in memory that the processor has at hand.
  static constexpr std::size_t kReceived = 4 * kBuffer;

  TapPort(Fd tap, Poller& poller);

  Fd tap_;
  Poller& poller_;
  bool more_ = true;
  std::unique_ptr<std::uint8_t[]> received_;  // kReceived bytes
  std::unique_ptr<std::uint8_t[]> sent_;
  iovec room_{};
};

// Opens (or makes, given the privilege) the tap `name` with offloads, or sets up an open tap descriptor likewise.
Result<Fd> open_tap(const char* name);
Status set_up_tap(int tap);

}  // namespace microagent::netd
