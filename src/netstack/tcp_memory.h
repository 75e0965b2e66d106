#pragma once

// Bytes of guests that wait in our memory: those that a host descriptor has not taken yet, and those that arrived
// before their turn. All of one stack draw on one budget.

#include <sys/uio.h>

#include <array>
#include <cstdint>
#include <span>
#include <vector>

#include "base/bytes.h"
#include "netstack/sequence.h"

namespace microagent::netstack {

class MemoryBudget {
 public:
  explicit MemoryBudget(std::size_t bytes) : left_(bytes) {}

  // Takes all or nothing.
  [[nodiscard]] bool take(std::size_t bytes) {
    if (bytes > left_) return false;
    left_ -= bytes;
    return true;
  }
  void give_back(std::size_t bytes) { left_ += bytes; }
  std::size_t left() const { return left_; }

 private:
  std::size_t left_;
};

// A queue of bytes.
class HeldBytes {
 public:
  std::size_t size() const { return bytes_.size() - start_; }
  bool empty() const { return size() == 0; }
  ByteView view() const { return ByteView(bytes_).subspan(start_); }

  // The `bytes` bytes of `pieces` behind their first `skip`.
  void append(std::span<const iovec> pieces, std::size_t skip, std::size_t bytes);
  void drop_front(std::size_t bytes);

 private:
  std::vector<std::uint8_t> bytes_;
  std::size_t start_ = 0;
};

// Segments that arrived before their turn (RFC 9293, 3.10.7.4), joined where they touch.
class OutOfOrder {
 public:
  // How many separate ranges are kept; what would need more is forgotten and sent again.
  static constexpr std::size_t kMaxRanges = 32;

  bool empty() const { return ranges_.empty(); }
  std::size_t bytes() const { return bytes_; }

  // Keeps what of [at, at + pieces) is not held yet. False when nothing was kept for want of room.
  bool add(Seq at, std::span<const iovec> pieces, std::size_t size, MemoryBudget& budget);

  // Lets go of every range that ends before or at `next`.
  void forget_before(Seq next, MemoryBudget& budget);
  // What begins at or before `next`: its bytes from `next` on. Empty when there is a gap.
  ByteView front(Seq next) const;
  void clear(MemoryBudget& budget);

  // The held ranges, the one that changed last first (RFC 2018, 4). At most `blocks.size()`; returns how many.
  struct Range {
    Seq left, right;
  };
  std::size_t report(std::span<Range> blocks) const;

 private:
  struct Held {
    Seq at;
    std::vector<std::uint8_t> bytes;
    std::uint64_t changed = 0;  // when, in additions
    Seq end() const { return at + bytes.size(); }
  };

  std::vector<Held> ranges_;  // in order, none touching the next
  std::size_t bytes_ = 0;
  std::uint64_t additions_ = 0;
};

}  // namespace microagent::netstack
