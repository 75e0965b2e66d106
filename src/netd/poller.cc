#include "netd/poller.h"

#include <algorithm>
#include <cerrno>

#include "base/check.h"
#include "base/clock.h"

namespace microagent::netd {
namespace {

constexpr std::uint64_t kSecond = 1'000'000'000;

}  // namespace

Result<Poller> Poller::make() {
  Fd epoll(::epoll_create1(EPOLL_CLOEXEC));
  if (!epoll) return fail_errno(errno, "cannot make an epoll descriptor");
  Poller poller(std::move(epoll));
  epoll_event event{};
  const timespec at_once{};
  if (::epoll_pwait2(poller.epoll_.get(), &event, 1, &at_once, nullptr) < 0) {
    return fail_errno(errno, "cannot wait with epoll_pwait2, which Linux has since 5.11");
  }
  return poller;
}

bool Poller::watch(int fd, std::uint32_t epoll_events, Source source, std::uint64_t token) {
  return control(EPOLL_CTL_ADD, fd, epoll_events, source, token);
}

bool Poller::watch_for(int fd, std::uint32_t epoll_events, Source source, std::uint64_t token) {
  return control(EPOLL_CTL_MOD, fd, epoll_events, source, token);
}

bool Poller::control(int operation, int fd, std::uint32_t epoll_events, Source source, std::uint64_t token) {
  MICROAGENT_CHECK(token >> kTokenBits == 0);
  epoll_event event{};
  event.events = epoll_events | EPOLLET;
  event.data.u64 = static_cast<std::uint64_t>(source) << kTokenBits | token;
  return ::epoll_ctl(epoll_.get(), operation, fd, &event) == 0;
}

void Poller::forget(int fd) { (void)::epoll_ctl(epoll_.get(), EPOLL_CTL_DEL, fd, nullptr); }

std::span<const Event> Poller::wait(std::optional<std::uint64_t> until_ns) {
  if (!until_ns) return wait_for(std::nullopt);
  const std::uint64_t now_ns = monotonic_ns();
  return wait_for(*until_ns > now_ns ? *until_ns - now_ns : 0);
}

std::span<const Event> Poller::wait_for(std::optional<std::uint64_t> span_ns) {
  timespec span{};
  if (span_ns) span = {static_cast<time_t>(*span_ns / kSecond), static_cast<long>(*span_ns % kSecond)};
  const int count =
      ::epoll_pwait2(epoll_.get(), raw_.data(), static_cast<int>(raw_.size()), span_ns ? &span : nullptr, nullptr);
  // EINTR: nothing has happened that concerns us.
  const auto happened = std::span(raw_).first(static_cast<std::size_t>(std::max(count, 0)));
  std::ranges::transform(happened, events_.begin(), [](const epoll_event& event) {
    const std::uint64_t data = event.data.u64;
    return Event{static_cast<Source>(data >> kTokenBits), data & ((std::uint64_t{1} << kTokenBits) - 1), event.events};
  });
  return std::span(events_).first(happened.size());
}

}  // namespace microagent::netd
