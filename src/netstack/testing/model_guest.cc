#include "netstack/testing/model_guest.h"

#include <algorithm>

namespace microagent::netstack::testing {

void ModelGuest::on_segment(const Segment& segment, std::uint64_t now_ns) {
  if (segment.has(kRst) || !segment.has(kAck)) return;
  on_ack(segment, now_ns);
  if (!segment.data.empty() || segment.has(kFin) || segment.seq + 1 == heard_.size() + 1) on_data(segment);
  say(now_ns);
}

void ModelGuest::on_ack(const Segment& segment, std::uint64_t now_ns) {
  if (segment.ack > highest_ || segment.ack < acked_) return;
  peer_window_ = std::uint32_t{segment.window} << settings_.peer_scale;
  if (segment.ack > acked_) {
    const bool partial = recover_ != 0 && segment.ack < recover_;
    acked_ = segment.ack;
    next_ = std::max(next_, acked_);
    duplicates_ = 0;
    allowed_segments_ = std::min(allowed_segments_ + 1, kWindowSegments);
    fin_acknowledged_ = acked_ == end_of_data() + 1;
    due_ns_ = acked_ == highest_ ? kForever : now_ns + kTimeoutNs;
    if (partial) say_from(acked_);
    else recover_ = 0;
  } else if (segment.data.empty() && !segment.has(kFin) && acked_ < highest_ && ++duplicates_ == 3 && recover_ == 0) {
    recover_ = highest_;
    say_from(acked_);
    due_ns_ = now_ns + kTimeoutNs;
  }
}

void ModelGuest::on_data(const Segment& segment) {
  std::uint32_t expected = 1 + static_cast<std::uint32_t>(heard_.size());
  if (segment.has(kFin)) fin_at_ = segment.end() - 1;
  if (!segment.data.empty() && segment.end() > expected) {
    Bytes& known = early_[segment.seq];
    if (segment.data.size() > known.size()) known = segment.data;
  }
  while (!early_.empty() && early_.begin()->first <= expected) {
    const auto& [seq, bytes] = *early_.begin();
    const std::size_t skip = expected - seq;
    if (skip < bytes.size())
      heard_.insert(heard_.end(), bytes.begin() + static_cast<std::ptrdiff_t>(skip), bytes.end());
    early_.erase(early_.begin());
    expected = 1 + static_cast<std::uint32_t>(heard_.size());
  }
  if (fin_at_ == expected) fin_heard_ = true;
  acknowledge();
}

void ModelGuest::on_time(std::uint64_t now_ns) {
  if (now_ns < due_ns_) return;
  ++timeouts_;
  duplicates_ = recover_ = 0;
  due_ns_ = now_ns + kTimeoutNs;
  if (acked_ < highest_) {
    allowed_segments_ = 2;
    next_ = acked_;
    say(now_ns);
  } else {
    out_.push_back(make(acked_ - 1));  // asks for a window
  }
}

std::optional<std::uint64_t> ModelGuest::next_deadline() const {
  if (due_ns_ == kForever) return std::nullopt;
  return due_ns_;
}

std::vector<Segment> ModelGuest::take_segments() { return std::exchange(out_, {}); }

void ModelGuest::say(std::uint64_t now_ns) {
  const std::uint32_t limit = std::min(peer_window_, allowed_segments_ * settings_.mss);
  const std::uint32_t end = end_of_data() + 1;  // its FIN counted
  while (next_ < end && next_ - acked_ < limit) {
    say_from(next_);
    next_ = std::min({next_ + settings_.mss, acked_ + limit, end_of_data()});
    if (next_ == end_of_data() && acked_ + limit > next_) next_ = end;
    highest_ = std::max(highest_, next_);
  }
  if (due_ns_ == kForever && !fin_acknowledged_) due_ns_ = now_ns + kTimeoutNs;
}

// One segment, as much as the window takes.
void ModelGuest::say_from(std::uint32_t seq) {
  const std::uint32_t limit = acked_ + std::max(1U, std::min(peer_window_, allowed_segments_ * settings_.mss));
  Segment segment = make(seq);
  const std::uint32_t end = std::min({seq + settings_.mss, limit, end_of_data()});
  if (seq < end) segment.data.assign(says_.begin() + seq - 1, says_.begin() + end - 1);
  if (segment.end() == end_of_data() && limit > end_of_data()) segment.flags |= kFin;
  out_.push_back(std::move(segment));
}

void ModelGuest::acknowledge() { out_.push_back(make(next_)); }

Segment ModelGuest::make(std::uint32_t seq) const {
  Segment segment{.seq = seq, .ack = 1 + static_cast<std::uint32_t>(heard_.size()) + (fin_heard_ ? 1U : 0U)};
  segment.window = static_cast<std::uint16_t>(std::min(settings_.window >> settings_.scale, 0xffffU));
  if (!settings_.sack) return segment;
  for (const auto& [early, bytes] : early_) {
    const std::uint32_t end = early + static_cast<std::uint32_t>(bytes.size());
    auto& options = segment.options;
    if (options.sack_count > 0 && options.sack[options.sack_count - 1].right >= early) {
      options.sack[options.sack_count - 1].right = std::max(options.sack[options.sack_count - 1].right, end);
    } else if (options.sack_count < 3) {
      options.sack[options.sack_count++] = {early, end};
    }
  }
  return segment;
}

}  // namespace microagent::netstack::testing
