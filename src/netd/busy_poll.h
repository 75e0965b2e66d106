#pragma once

#include <array>
#include <cstdint>

namespace microagent::netd {

// Whether to look at rings and sockets again, or to sleep until one of them wakes us.
//
// Being woken costs a system call of the waker's and some ten microseconds, which a look saves if what is awaited comes
// soon. Whether it does is learned, for the two parties apart: how often the host answers a frame of the guest's within
// kMost, and how often the guest says more within that time after the host has spoken. Three in four must, else nothing
// is looked for; a wait that was in vain costs as much as three that were not.
class BusyPoll {
 public:
  // Who has spoken; the other's answer is awaited.
  enum class Party : std::uint8_t { guest, host };

  static constexpr std::uint64_t kMost = 100'000;  // nanoseconds

  // `party` has spoken.
  void on_work(Party party, std::uint64_t now_ns);
  bool worthwhile(std::uint64_t now_ns) const { return credit() >= kEnough && now_ns - spoke_ns_ < kMost; }

 private:
  static constexpr std::uint8_t kEnough = 8, kMaxCredit = 16, kFine = 3;

  std::uint8_t credit() const { return credits_[static_cast<std::size_t>(spoke_)]; }

  std::array<std::uint8_t, 2> credits_{};  // by who has spoken
  Party spoke_ = Party::guest;
  std::uint64_t spoke_ns_ = 0;
};

}  // namespace microagent::netd
