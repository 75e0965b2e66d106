#pragma once

#include <cstddef>
#include <cstdint>
#include <limits>
#include <optional>
#include <vector>

namespace microagent::netstack {

inline constexpr std::uint64_t kNever = std::numeric_limits<std::uint64_t>::max();

// One flow's next deadline. May not move in memory while it is set, and is cancelled before it goes.
struct Timer {
  static constexpr std::size_t kNowhere = std::numeric_limits<std::size_t>::max();

  std::uint64_t due_ns = kNever;
  std::size_t place = kNowhere;  // of its entry in the queue
};

// The deadlines of many flows, one entry for each. A deadline that moves back, as retransmission timers do with every
// acknowledgement, costs nothing: the entry stays where it is and is put off when its time comes.
class Deadlines {
 public:
  using Token = std::uint64_t;

  void set(Timer& timer, Token token, std::uint64_t due_ns) {
    timer.due_ns = due_ns;
    if (timer.place == Timer::kNowhere) {
      if (due_ns == kNever) return;
      timer.place = heap_.size();
      heap_.push_back(Entry{due_ns, token, &timer});
    } else if (due_ns >= heap_[timer.place].at_ns) {
      return;
    }
    heap_[timer.place].at_ns = due_ns;
    move_up(timer.place);
  }

  void cancel(Timer& timer) {
    timer.due_ns = kNever;
    if (timer.place != Timer::kNowhere) remove(timer.place);
  }

  // No deadline passes before this.
  std::optional<std::uint64_t> next() const {
    if (heap_.empty()) return std::nullopt;
    return heap_.front().at_ns;
  }

  // Calls `expire(token)` for every flow whose deadline has passed.
  template <typename Expire>
  void run(std::uint64_t now_ns, Expire expire) {
    while (!heap_.empty() && heap_.front().at_ns <= now_ns) {
      const Token token = heap_.front().token;
      Timer& timer = *heap_.front().timer;
      if (timer.due_ns > now_ns && timer.due_ns != kNever) {
        heap_.front().at_ns = timer.due_ns;
        move_down(0);
        continue;
      }
      const bool is_due = timer.due_ns <= now_ns;
      cancel(timer);
      if (is_due) expire(token);
    }
  }

  std::size_t size() const { return heap_.size(); }

 private:
  struct Entry {
    std::uint64_t at_ns;
    Token token;
    Timer* timer;
  };

  void put(std::size_t place, const Entry& entry) {
    heap_[place] = entry;
    entry.timer->place = place;
  }

  void move_up(std::size_t place) {
    const Entry entry = heap_[place];
    for (; place > 0 && heap_[(place - 1) / 2].at_ns > entry.at_ns; place = (place - 1) / 2) {
      put(place, heap_[(place - 1) / 2]);
    }
    put(place, entry);
  }

  void move_down(std::size_t place) {
    const Entry entry = heap_[place];
    for (std::size_t child; (child = 2 * place + 1) < heap_.size(); place = child) {
      if (child + 1 < heap_.size() && heap_[child + 1].at_ns < heap_[child].at_ns) ++child;
      if (heap_[child].at_ns >= entry.at_ns) break;
      put(place, heap_[child]);
    }
    put(place, entry);
  }

  void remove(std::size_t place) {
    heap_[place].timer->place = Timer::kNowhere;
    const Entry last = heap_.back();
    heap_.pop_back();
    if (place == heap_.size()) return;
    put(place, last);
    move_up(place);
    move_down(last.timer->place);
  }

  std::vector<Entry> heap_;  // the earliest entry first
};

}  // namespace microagent::netstack
