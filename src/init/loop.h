#pragma once

#include <chrono>
#include <cstdint>
#include <functional>
#include <map>
#include <memory>
#include <unordered_map>

#include "base/fd.h"
#include "base/result.h"

namespace microagent::init {

// The process's one epoll descriptor: readiness of descriptors and the passing of time, each told to a function. A
// function may watch, change and forget whatever it likes, itself included.
class Loop {
 public:
  using OnEvents = std::function<void(std::uint32_t epoll_events)>;
  using OnTime = std::function<void()>;
  using Timer = std::uint64_t;

  static Result<Loop> make();

  // Level-triggered. A descriptor is watched once, and forgotten before it is closed.
  Status watch(int fd, std::uint32_t epoll_events, OnEvents on_events);
  // What to wait for from now on; errors and hang-ups come in any case.
  void change(int fd, std::uint32_t epoll_events);
  // For a descriptor that is not watched: does nothing.
  void forget(int fd);

  Timer after(std::chrono::milliseconds delay, OnTime on_time);
  void cancel(Timer timer);

  // Waits for something to happen and tells of it.
  void step();

 private:
  struct Watch {
    int fd = -1;
    OnEvents on_events;
  };

  explicit Loop(Fd epoll) : epoll_(std::move(epoll)) {}
  int milliseconds_to_next_timer() const;
  void run_timers();

  Fd epoll_;
  // Events carry the number of the watch, so that one that was pending for a closed descriptor never reaches the next
  // with the same number.
  std::unordered_map<std::uint64_t, std::shared_ptr<Watch>> watches_;
  std::unordered_map<int, std::uint64_t> watch_of_;
  std::map<std::pair<std::uint64_t, Timer>, OnTime> timers_;  // by deadline, CLOCK_MONOTONIC ns
  std::uint64_t last_watch_ = 0;
  Timer last_timer_ = 0;
};

}  // namespace microagent::init
