#pragma once

#include <algorithm>
#include <cstdint>

namespace microagent::netstack {

// The retransmission timeout of RFC 6298, in nanoseconds. The lower bound is Linux's, not the RFC's second.
class RoundTrip {
 public:
  static constexpr std::uint64_t kInitialNs = 1'000'000'000;
  static constexpr std::uint64_t kMinNs = 200'000'000;
  static constexpr std::uint64_t kMaxNs = 60'000'000'000;

  void sample(std::uint64_t rtt_ns) {
    if (smoothed_ns_ == 0) {
      smoothed_ns_ = std::max<std::uint64_t>(rtt_ns, 1);
      variation_ns_ = rtt_ns / 2;
    } else {
      const std::uint64_t error = rtt_ns > smoothed_ns_ ? rtt_ns - smoothed_ns_ : smoothed_ns_ - rtt_ns;
      variation_ns_ = (3 * variation_ns_ + error) / 4;
      smoothed_ns_ = std::max<std::uint64_t>((7 * smoothed_ns_ + rtt_ns) / 8, 1);
    }
    backoff_ = 0;
  }

  // Doubles until the next sample or reset_backoff() (RFC 6298, 5.5).
  void back_off() { backoff_ = std::min(backoff_ + 1, 16U); }
  void reset_backoff() { backoff_ = 0; }

  std::uint64_t timeout_ns() const {
    const std::uint64_t base = smoothed_ns_ == 0 ? kInitialNs : std::max(smoothed_ns_ + 4 * variation_ns_, kMinNs);
    return std::min(base << backoff_, kMaxNs);
  }

 private:
  std::uint64_t smoothed_ns_ = 0;
  std::uint64_t variation_ns_ = 0;
  unsigned backoff_ = 0;
};

}  // namespace microagent::netstack
