#pragma once

#include <algorithm>
#include <cstdint>

namespace microagent::netstack {

// How much may be under way to the guest (RFC 5681, RFC 6582), in bytes. The path is one virtual wire that holds back
// rather than loses, so it begins far above RFC 6928's ten segments; a guest that does lose is answered as any network
// would.
class Congestion {
 public:
  static constexpr std::uint32_t kInitialWindow = 512 * 1024;
  static constexpr std::uint32_t kMaxWindow = 16 * 1024 * 1024;

  std::uint32_t window() const { return window_; }

  void on_acked(std::uint32_t bytes, std::uint32_t mss) {
    if (window_ < threshold_) {
      window_ = std::min(window_ + bytes, kMaxWindow);
      return;
    }
    credit_ += bytes;
    if (credit_ < window_) return;
    credit_ -= window_;
    window_ = std::min(window_ + mss, kMaxWindow);
  }

  // Loss noticed by duplicate acknowledgements or SACK.
  void on_loss(std::uint32_t in_flight, std::uint32_t mss) {
    threshold_ = std::max(in_flight / 2, 2 * mss);
    window_ = threshold_;
    credit_ = 0;
  }

  // Loss noticed by silence.
  void on_timeout(std::uint32_t in_flight, std::uint32_t mss) {
    on_loss(in_flight, mss);
    window_ = mss;
  }

 private:
  std::uint32_t window_ = kInitialWindow;
  std::uint32_t threshold_ = kMaxWindow;
  std::uint32_t credit_ = 0;
};

}  // namespace microagent::netstack
