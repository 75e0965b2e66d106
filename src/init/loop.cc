#include "init/loop.h"

#include <sys/epoll.h>

#include <algorithm>
#include <array>
#include <cerrno>

#include "base/check.h"
#include "base/clock.h"

namespace microagent::init {
namespace {

constexpr std::uint64_t kMillisecond = 1'000'000;
constexpr std::size_t kMaxEvents = 64;

}  // namespace

Result<Loop> Loop::make() {
  Fd epoll(::epoll_create1(EPOLL_CLOEXEC));
  if (!epoll) return fail_errno(errno, "cannot make an epoll descriptor");
  return Loop(std::move(epoll));
}

Status Loop::watch(int fd, std::uint32_t epoll_events, OnEvents on_events) {
  MICROAGENT_CHECK(!watch_of_.contains(fd));
  epoll_event event{};
  event.events = epoll_events;
  event.data.u64 = ++last_watch_;
  if (::epoll_ctl(epoll_.get(), EPOLL_CTL_ADD, fd, &event) != 0) return fail_errno(errno, "cannot watch a descriptor");
  watch_of_[fd] = last_watch_;
  watches_[last_watch_] = std::make_shared<Watch>(Watch{fd, std::move(on_events)});
  return {};
}

void Loop::change(int fd, std::uint32_t epoll_events) {
  const auto found = watch_of_.find(fd);
  MICROAGENT_CHECK(found != watch_of_.end());
  epoll_event event{};
  event.events = epoll_events;
  event.data.u64 = found->second;
  MICROAGENT_CHECK(::epoll_ctl(epoll_.get(), EPOLL_CTL_MOD, fd, &event) == 0);
}

void Loop::forget(int fd) {
  const auto found = watch_of_.find(fd);
  if (found == watch_of_.end()) return;
  MICROAGENT_CHECK(::epoll_ctl(epoll_.get(), EPOLL_CTL_DEL, fd, nullptr) == 0);
  watches_.erase(found->second);
  watch_of_.erase(found);
}

Loop::Timer Loop::after(std::chrono::milliseconds delay, OnTime on_time) {
  const std::uint64_t at = monotonic_ns() + static_cast<std::uint64_t>(delay.count()) * kMillisecond;
  timers_.emplace(std::pair{at, ++last_timer_}, std::move(on_time));
  return last_timer_;
}

void Loop::cancel(Timer timer) {
  std::erase_if(timers_, [&](const auto& entry) { return entry.first.second == timer; });
}

int Loop::milliseconds_to_next_timer() const {
  if (timers_.empty()) return -1;
  const std::uint64_t now = monotonic_ns(), at = timers_.begin()->first.first;
  if (at <= now) return 0;
  constexpr std::uint64_t kLongest = 3'600'000;
  return static_cast<int>(std::min((at - now + kMillisecond - 1) / kMillisecond, kLongest));
}

void Loop::run_timers() {
  while (!timers_.empty() && timers_.begin()->first.first <= monotonic_ns()) {
    const OnTime on_time = std::move(timers_.begin()->second);
    timers_.erase(timers_.begin());
    on_time();
  }
}

void Loop::step() {
  std::array<epoll_event, kMaxEvents> events{};
  const int count = ::epoll_wait(epoll_.get(), events.data(), kMaxEvents, milliseconds_to_next_timer());
  // EINTR: nothing has happened that concerns us.
  for (int i = 0; i < count; ++i) {
    const epoll_event& event = events[static_cast<std::size_t>(i)];
    const auto found = watches_.find(event.data.u64);
    if (found == watches_.end()) continue;
    // Kept alive while it runs, for it may forget itself.
    const std::shared_ptr<Watch> watch = found->second;
    watch->on_events(event.events);
  }
  run_timers();
}

}  // namespace microagent::init
