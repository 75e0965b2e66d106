#include "netstack/tcp_memory.h"

#include <algorithm>

#include "base/pieces.h"

namespace microagent::netstack {
namespace {

// Appends the part of `pieces` that lies behind its first `skip` bytes, `count` bytes of it.
void append_part(std::vector<std::uint8_t>& out, std::span<const iovec> pieces, std::size_t skip, std::size_t count) {
  for (const iovec& piece : pieces) {
    if (count == 0) break;
    if (skip >= piece.iov_len) {
      skip -= piece.iov_len;
      continue;
    }
    const auto* start = static_cast<const std::uint8_t*>(piece.iov_base) + skip;
    const std::size_t bytes = std::min(piece.iov_len - skip, count);
    out.insert(out.end(), start, start + bytes);
    count -= bytes;
    skip = 0;
  }
}

}  // namespace

void HeldBytes::append(std::span<const iovec> pieces, std::size_t skip, std::size_t bytes) {
  append_part(bytes_, pieces, skip, bytes);
}

void HeldBytes::drop_front(std::size_t bytes) {
  start_ += bytes;
  if (start_ == bytes_.size()) {
    bytes_ = {};
    start_ = 0;
  } else if (start_ > bytes_.size() / 2) {
    bytes_.erase(bytes_.begin(), bytes_.begin() + static_cast<std::ptrdiff_t>(start_));
    start_ = 0;
  }
}

// The new bytes and every range they touch become one range. The old bytes win where they overlap: the guest may not
// change its mind about what it has sent.
bool OutOfOrder::add(Seq at, std::span<const iovec> pieces, std::size_t size, MemoryBudget& budget) {
  const Seq end = at + size;
  const auto first = std::ranges::find_if(ranges_, [&](const Held& held) { return held.end() >= at; });
  const auto last = std::find_if(first, ranges_.end(), [&](const Held& held) { return held.at > end; });
  const auto joined = static_cast<std::size_t>(last - first);
  if (joined == 0 && ranges_.size() >= kMaxRanges) return false;
  if (joined == 1 && first->at <= at && first->end() >= end) return true;  // all of it is here

  std::size_t held = 0;
  for (auto range = first; range != last; ++range) held += range->bytes.size();
  const Seq start = joined == 0 ? at : min(at, first->at);
  const Seq stop = joined == 0 ? end : max(end, std::prev(last)->end());
  const std::size_t whole = span(start, stop);
  if (!budget.take(whole - held)) return false;
  bytes_ += whole - held;

  // A range that only grows at its end, as most do, grows in place.
  const bool grows = joined > 0 && first->at == start;
  Held merged{start, {}, ++additions_};
  if (grows) merged.bytes = std::move(first->bytes);
  else merged.bytes.reserve(whole);
  for (auto range = grows ? std::next(first) : first;; ++range) {
    // The gap before this range, or behind the last one, comes from the new segment.
    const Seq from = merged.end();
    const Seq to = range == last ? stop : range->at;
    if (from < to) append_part(merged.bytes, pieces, span(at, from), span(from, to));
    if (range == last) break;
    merged.bytes.insert(merged.bytes.end(), range->bytes.begin(), range->bytes.end());
  }
  const auto place = ranges_.erase(first, last);
  ranges_.insert(place, std::move(merged));
  return true;
}

ByteView OutOfOrder::front(Seq next) const {
  if (ranges_.empty() || ranges_.front().at > next) return {};
  const Held& held = ranges_.front();
  const std::size_t known = span(held.at, next);
  return known >= held.bytes.size() ? ByteView() : ByteView(held.bytes).subspan(known);
}

void OutOfOrder::forget_before(Seq next, MemoryBudget& budget) {
  const auto first_kept = std::ranges::find_if(ranges_, [next](const Held& held) { return held.end() > next; });
  for (auto range = ranges_.begin(); range != first_kept; ++range) {
    budget.give_back(range->bytes.size());
    bytes_ -= range->bytes.size();
  }
  ranges_.erase(ranges_.begin(), first_kept);
}

void OutOfOrder::clear(MemoryBudget& budget) {
  budget.give_back(bytes_);
  bytes_ = 0;
  ranges_.clear();
}

std::size_t OutOfOrder::report(std::span<Range> blocks) const {
  std::array<const Held*, kMaxRanges> newest;
  std::size_t count = 0;
  for (const Held& held : ranges_) newest[count++] = &held;
  const auto by_change = [](const Held* a, const Held* b) { return a->changed > b->changed; };
  std::sort(newest.begin(), newest.begin() + static_cast<std::ptrdiff_t>(count), by_change);
  count = std::min(count, blocks.size());
  for (std::size_t i = 0; i < count; ++i) blocks[i] = Range{newest[i]->at, newest[i]->end()};
  return count;
}

}  // namespace microagent::netstack
