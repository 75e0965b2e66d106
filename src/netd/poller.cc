#include "netd/poller.h"

#include <sys/timerfd.h>

#include <algorithm>
#include <cerrno>

#include "base/check.h"

namespace microagent::netd {
namespace {

constexpr std::uint64_t kSecond = 1'000'000'000;

}  // namespace

Result<Poller> Poller::make() {
  Fd epoll(::epoll_create1(EPOLL_CLOEXEC));
  if (!epoll) return fail_errno(errno, "cannot make an epoll descriptor");
  Fd timer(::timerfd_create(CLOCK_MONOTONIC, TFD_CLOEXEC | TFD_NONBLOCK));
  if (!timer) return fail_errno(errno, "cannot make a timer");
  Poller poller(std::move(epoll), std::move(timer));
  if (!poller.watch(poller.timer_.get(), EPOLLIN, Source::timer)) return fail_errno(errno, "cannot watch the timer");
  return poller;
}

bool Poller::watch(int fd, std::uint32_t epoll_events, Source source, std::uint64_t token) {
  MICROAGENT_CHECK(token >> kTokenBits == 0);
  epoll_event event{};
  event.events = epoll_events | EPOLLET;
  event.data.u64 = static_cast<std::uint64_t>(source) << kTokenBits | token;
  return ::epoll_ctl(epoll_.get(), EPOLL_CTL_ADD, fd, &event) == 0;
}

void Poller::forget(int fd) { (void)::epoll_ctl(epoll_.get(), EPOLL_CTL_DEL, fd, nullptr); }

std::span<const Event> Poller::wait(bool block) {
  const int count = ::epoll_wait(epoll_.get(), raw_.data(), static_cast<int>(raw_.size()), block ? -1 : 0);
  // EINTR: nothing has happened that concerns us.
  const auto happened = std::span(raw_).first(static_cast<std::size_t>(std::max(count, 0)));
  std::ranges::transform(happened, events_.begin(), [](const epoll_event& event) {
    const std::uint64_t data = event.data.u64;
    return Event{static_cast<Source>(data >> kTokenBits), data & ((std::uint64_t{1} << kTokenBits) - 1), event.events};
  });
  return std::span(events_).first(happened.size());
}

void Poller::set_deadline(std::optional<std::uint64_t> at_ns) {
  if (at_ns == deadline_) return;
  deadline_ = at_ns;
  itimerspec when{};  // all zero disarms
  if (at_ns) {
    const std::uint64_t at = std::max<std::uint64_t>(*at_ns, 1);
    when.it_value = {static_cast<time_t>(at / kSecond), static_cast<long>(at % kSecond)};
  }
  // Edge-triggered, so that an expiry need not be read: setting it anew clears it.
  MICROAGENT_CHECK(::timerfd_settime(timer_.get(), TFD_TIMER_ABSTIME, &when, nullptr) == 0);
}

}  // namespace microagent::netd
