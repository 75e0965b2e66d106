#pragma once

#include <sys/epoll.h>

#include <array>
#include <cstdint>
#include <optional>
#include <span>

#include "base/fd.h"
#include "base/result.h"

namespace microagent::netd {

// What a watched descriptor is.
enum class Source : std::uint8_t {
  timer,
  supervisor,
  mediator,
  net_session,
  net_kick,
  net_flow,
  vsock_session,
  vsock_kick,
  vsock_flow,
};

struct Event {
  Source source{};
  std::uint64_t token = 0;
  std::uint32_t epoll_events = 0;
};

// The process's one epoll descriptor and its one timer.
class Poller {
 public:
  // Tokens have this many bits.
  static constexpr unsigned kTokenBits = 56;

  static Result<Poller> make();

  // Edge-triggered. False when the kernel will not watch it.
  bool watch(int fd, std::uint32_t epoll_events, Source source, std::uint64_t token = 0);
  void forget(int fd);

  // What has happened; with `block`, waits for the first thing to. The timer's events are taken here.
  std::span<const Event> wait(bool block);

  // When wait() returns at the latest: nanoseconds of CLOCK_MONOTONIC, nothing for never.
  void set_deadline(std::optional<std::uint64_t> at_ns);

 private:
  static constexpr std::size_t kMaxEvents = 256;

  Poller(Fd epoll, Fd timer) : epoll_(std::move(epoll)), timer_(std::move(timer)) {}

  Fd epoll_;
  Fd timer_;
  std::optional<std::uint64_t> deadline_;
  std::array<epoll_event, kMaxEvents> raw_{};
  std::array<Event, kMaxEvents> events_{};
};

}  // namespace microagent::netd
