#pragma once

#include <array>
#include <cstdint>
#include <optional>

#include "netstack/sequence.h"

namespace microagent::netstack {

// What the guest has told by SACK that it holds beyond the acknowledged part of the stream (RFC 6675, 2). A guest that
// reports more ranges than fit, or nonsense, costs itself retransmissions only.
class Scoreboard {
 public:
  struct Range {
    Seq left, right;
  };

  bool empty() const { return count_ == 0; }
  void clear() { count_ = 0; }

  // [left, right) must lie within (acknowledged, sent].
  void add(Range range);
  // Everything before `acknowledged` is known anyway.
  void forget_before(Seq acknowledged);

  // The end of the last range. Not when empty.
  Seq highest() const { return ranges_[count_ - 1].right; }
  std::uint32_t bytes() const;
  // The first gap at or after `from` and before highest().
  std::optional<Range> next_gap(Seq from) const;
  // The bytes of all gaps at or after `from` and before highest().
  std::uint32_t gap_bytes(Seq from) const;

 private:
  static constexpr std::size_t kMaxRanges = 16;

  std::array<Range, kMaxRanges> ranges_{};  // in order, none touching the next
  std::size_t count_ = 0;
};

}  // namespace microagent::netstack
