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

// The process's one epoll descriptor. Its wait has nanoseconds (epoll_pwait2(2), Linux 5.11), so that no timer's
// descriptor has to be set for deadlines that change with every packet.
class Poller {
 public:
  // Tokens have this many bits.
  static constexpr unsigned kTokenBits = 56;

  static Result<Poller> make();

  // Edge-triggered. False when the kernel will not watch it.
  bool watch(int fd, std::uint32_t epoll_events, Source source, std::uint64_t token = 0);
  // Watches for other events, of which those that there are already are told anew.
  bool watch_for(int fd, std::uint32_t epoll_events, Source source, std::uint64_t token = 0);
  void forget(int fd);

  // What has happened, without waiting for it.
  std::span<const Event> look() { return wait_for(0); }
  // Waits for something to happen, or for a time: nanoseconds of CLOCK_MONOTONIC, nothing for never.
  std::span<const Event> wait(std::optional<std::uint64_t> until_ns);

 private:
  static constexpr std::size_t kMaxEvents = 256;

  explicit Poller(Fd epoll) : epoll_(std::move(epoll)) {}
  bool control(int operation, int fd, std::uint32_t epoll_events, Source source, std::uint64_t token);
  std::span<const Event> wait_for(std::optional<std::uint64_t> span_ns);

  Fd epoll_;
  std::array<epoll_event, kMaxEvents> raw_{};
  std::array<Event, kMaxEvents> events_{};
};

}  // namespace microagent::netd
