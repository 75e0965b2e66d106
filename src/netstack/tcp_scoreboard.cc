#include "netstack/tcp_scoreboard.h"

#include <algorithm>
#include <utility>

namespace microagent::netstack {

void Scoreboard::add(Range range) {
  std::array<Range, kMaxRanges + 1> merged;
  std::size_t count = 0;
  bool placed = false;
  for (std::size_t i = 0; i < count_; ++i) {
    const Range& known = ranges_[i];
    if (known.right < range.left) {
      merged[count++] = known;
    } else if (known.left > range.right) {
      if (!std::exchange(placed, true)) merged[count++] = range;
      merged[count++] = known;
    } else {
      range = Range{min(known.left, range.left), max(known.right, range.right)};
    }
  }
  if (!placed) merged[count++] = range;
  // The ranges that matter most are the first: they bound the gaps that are filled next.
  count_ = std::min(count, kMaxRanges);
  std::copy_n(merged.begin(), count_, ranges_.begin());
}

void Scoreboard::forget_before(Seq acknowledged) {
  std::size_t kept = 0;
  for (std::size_t i = 0; i < count_; ++i) {
    if (ranges_[i].right <= acknowledged) continue;
    ranges_[kept++] = Range{max(ranges_[i].left, acknowledged), ranges_[i].right};
  }
  count_ = kept;
}

std::uint32_t Scoreboard::bytes() const {
  std::uint32_t bytes = 0;
  for (std::size_t i = 0; i < count_; ++i) bytes += span(ranges_[i].left, ranges_[i].right);
  return bytes;
}

std::optional<Scoreboard::Range> Scoreboard::next_gap(Seq from) const {
  for (std::size_t i = 0; i < count_; ++i) {
    if (from < ranges_[i].left) return Range{from, ranges_[i].left};
    from = max(from, ranges_[i].right);
  }
  return std::nullopt;
}

std::uint32_t Scoreboard::gap_bytes(Seq from) const {
  std::uint32_t bytes = 0;
  while (const auto gap = next_gap(from)) {
    bytes += span(gap->left, gap->right);
    from = gap->right;
  }
  return bytes;
}

}  // namespace microagent::netstack
