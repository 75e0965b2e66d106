#pragma once

#include <algorithm>
#include <cstdint>
#include <limits>
#include <optional>
#include <vector>

namespace microagent::netstack {

inline constexpr std::uint64_t kNever = std::numeric_limits<std::uint64_t>::max();

// One flow's next deadline, and the time of the queue's earliest entry for it.
struct Timer {
  std::uint64_t due_ns = kNever;
  std::uint64_t queued_ns = kNever;
};

// The deadlines of many flows. A deadline that moves back, as retransmission timers do with every acknowledgement, costs
// nothing: the queue's entry stays where it is and is put off when its time comes.
class Deadlines {
 public:
  using Token = std::uint64_t;

  void set(Timer& timer, Token token, std::uint64_t due_ns) {
    timer.due_ns = due_ns;
    if (due_ns < timer.queued_ns) push(timer, token);
  }

  std::optional<std::uint64_t> next() const {
    if (heap_.empty()) return std::nullopt;
    return heap_.front().at_ns;
  }

  // Calls `expire(token)` for every flow whose deadline has passed. `find(token)` gives a flow's Timer, or null when the
  // flow is no more.
  template <typename Find, typename Expire>
  void run(std::uint64_t now_ns, Find find, Expire expire) {
    while (!heap_.empty() && heap_.front().at_ns <= now_ns) {
      const Entry entry = heap_.front();
      std::pop_heap(heap_.begin(), heap_.end(), later);
      heap_.pop_back();
      Timer* timer = find(entry.token);
      if (timer == nullptr || timer->queued_ns != entry.at_ns) continue;
      timer->queued_ns = kNever;
      if (timer->due_ns > now_ns) {
        if (timer->due_ns != kNever) push(*timer, entry.token);
        continue;
      }
      timer->due_ns = kNever;
      expire(entry.token);
    }
  }

 private:
  struct Entry {
    std::uint64_t at_ns;
    Token token;
  };
  static bool later(const Entry& a, const Entry& b) { return a.at_ns > b.at_ns; }

  void push(Timer& timer, Token token) {
    timer.queued_ns = timer.due_ns;
    heap_.push_back(Entry{timer.due_ns, token});
    std::push_heap(heap_.begin(), heap_.end(), later);
  }

  std::vector<Entry> heap_;
};

}  // namespace microagent::netstack
