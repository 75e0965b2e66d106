#include "netd/busy_poll.h"

#include <algorithm>

namespace microagent::netd {

void BusyPoll::on_work(Party party, std::uint64_t now_ns) {
  std::uint8_t& credit = credits_[static_cast<std::size_t>(spoke_)];
  const bool soon = now_ns - spoke_ns_ < kMost;
  credit = static_cast<std::uint8_t>(soon ? std::min(credit + 1, +kMaxCredit) : std::max(credit - kFine, 0));
  spoke_ = party;
  spoke_ns_ = now_ns;
}

}  // namespace microagent::netd
