#pragma once

#include <cstdint>

namespace microagent::netd {

// How much a vsock peer lets us send (VIRTIO 1.2, 5.10.6.3): its buffer less what it has not taken out yet. All counts
// are modulo 2^32, as on the wire.
class PeerCredit {
 public:
  // Takes the figures of a packet. False when they cannot be true: the peer took out more than we sent, or put bytes
  // back. A smaller buffer than before is the peer's right.
  [[nodiscard]] bool update(std::uint32_t buffer_size, std::uint32_t forwarded) {
    const std::uint32_t still_there = sent_ - forwarded;
    if (still_there > sent_ - forwarded_) return false;
    buffer_size_ = buffer_size;
    forwarded_ = forwarded;
    return true;
  }

  std::uint32_t buffer_size() const { return buffer_size_; }
  std::uint32_t available() const {
    const std::uint32_t in_flight = sent_ - forwarded_;
    return buffer_size_ > in_flight ? buffer_size_ - in_flight : 0;
  }

  // At most available() bytes.
  void spend(std::uint32_t bytes) { sent_ += bytes; }

 private:
  std::uint32_t buffer_size_ = 0;
  std::uint32_t sent_ = 0;
  std::uint32_t forwarded_ = 0;
};

// Our buffer for one connection: the large one where the memory for all allows it (VsockFlows::kMaxLargeBuffers).
inline constexpr std::uint32_t kVsockBuffer = 256 * 1024;
inline constexpr std::uint32_t kVsockSmallBuffer = 16 * 1024;

// How much we let the peer send: our buffer less what the host has not taken.
class OwnCredit {
 public:
  explicit OwnCredit(std::uint32_t buffer_size) : buffer_size_(buffer_size) {}

  std::uint32_t buffer_size() const { return buffer_size_; }

  // Bytes came in. False when the peer had no credit for them.
  [[nodiscard]] bool receive(std::uint32_t bytes) {
    if (bytes > buffer_size_ - (received_ - forwarded_)) return false;
    received_ += bytes;
    return true;
  }
  // The host took bytes.
  void forward(std::uint32_t bytes) { forwarded_ += bytes; }
  std::uint32_t forwarded() const { return forwarded_; }

  // Whether the peer should hear of room that it does not know of. A peer without credit always will: all of its bytes
  // get forwarded, and that is more than the step.
  bool worth_telling() const { return forwarded_ - told_ >= buffer_size_ / 4; }
  void tell() { told_ = forwarded_; }

 private:
  std::uint32_t buffer_size_;
  std::uint32_t received_ = 0;
  std::uint32_t forwarded_ = 0;
  std::uint32_t told_ = 0;
};

}  // namespace microagent::netd
