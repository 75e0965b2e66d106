#include "netd/tap_port.h"

#include <fcntl.h>
#include <fmt/format.h>
#include <linux/if.h>
#include <linux/if_tun.h>
#include <sys/epoll.h>
#include <sys/ioctl.h>

#include <algorithm>
#include <cerrno>
#include <cstring>

#include "base/check.h"
#include "netd/translate.h"

namespace microagent::netd {
namespace {

constexpr std::size_t kCacheLine = 64;
constexpr unsigned long kSegmentedDatagrams = 0x60;  // TUN_F_USO4 | TUN_F_USO6, since Linux 6.2

std::size_t align_up(std::size_t bytes) { return (bytes + kCacheLine - 1) / kCacheLine * kCacheLine; }

}  // namespace

Result<Fd> open_tap(const char* name) {
  Fd tap(::open("/dev/net/tun", O_RDWR | O_NONBLOCK | O_CLOEXEC));
  if (!tap) return fail_errno(errno, "cannot open /dev/net/tun");
  ifreq request{};
  if (std::strlen(name) >= sizeof request.ifr_name) {
    return fail(ErrorKind::usage, fmt::format("{} is no name of a network interface", name), "use at most 15 bytes");
  }
  std::strcpy(request.ifr_name, name);
  request.ifr_flags = IFF_TAP | IFF_NO_PI | IFF_VNET_HDR;
  if (::ioctl(tap.get(), TUNSETIFF, &request) != 0) {
    return fail_errno(errno, fmt::format("cannot attach to the tap {} (with IFF_NO_PI and IFF_VNET_HDR)", name));
  }
  if (Status set_up = set_up_tap(tap.get()); !set_up) return fail(set_up.error());
  return tap;
}

Status set_up_tap(int tap) {
  ifreq request{};
  if (::ioctl(tap, TUNGETIFF, &request) != 0) return fail_errno(errno, "the descriptor is no tap");
  constexpr int kNeeded = IFF_TAP | IFF_NO_PI | IFF_VNET_HDR;
  if ((request.ifr_flags & kNeeded) != kNeeded) {
    return fail(ErrorKind::usage, "the tap was opened without IFF_NO_PI or without IFF_VNET_HDR",
                "open it with IFF_TAP | IFF_NO_PI | IFF_VNET_HDR");
  }
  const int header_bytes = sizeof(wire::NetHeader);
  if (::ioctl(tap, TUNSETVNETHDRSZ, &header_bytes) != 0) return fail_errno(errno, "cannot set the tap's header size");
  const int little_endian = 1;
  if (::ioctl(tap, TUNSETVNETLE, &little_endian) != 0) return fail_errno(errno, "cannot set the tap's byte order");
  // What the kernel may leave to us.
  constexpr unsigned long kTcp = TUN_F_CSUM | TUN_F_TSO4 | TUN_F_TSO6;
  if (::ioctl(tap, TUNSETOFFLOAD, kTcp | kSegmentedDatagrams) != 0 && ::ioctl(tap, TUNSETOFFLOAD, kTcp) != 0) {
    return fail_errno(errno, "cannot set the tap's offloads");
  }
  const int flags = ::fcntl(tap, F_GETFL);
  if (flags < 0 || ::fcntl(tap, F_SETFL, flags | O_NONBLOCK) != 0) {
    return fail_errno(errno, "cannot make the tap nonblocking");
  }
  return {};
}

Result<std::unique_ptr<TapPort>> TapPort::open(Fd tap, Poller& poller) {
  std::unique_ptr<TapPort> port(new TapPort(std::move(tap), poller));
  if (poller.watch(port->tap_.get(), EPOLLIN, Source::net_kick)) return port;
  return fail_errno(errno, "cannot watch the tap");
}

TapPort::TapPort(Fd tap, Poller& poller)
    : tap_(std::move(tap)),
      poller_(poller),
      received_(std::make_unique_for_overwrite<std::uint8_t[]>(kReceived)),
      sent_(std::make_unique_for_overwrite<std::uint8_t[]>(kBuffer)) {}

TapPort::~TapPort() { poller_.forget(tap_.get()); }

std::size_t TapPort::receive(netstack::Stack& stack, std::size_t budget) {
  if (!more_) return 0;
  budget = std::min(budget, kBatch);
  std::size_t frames = 0, bytes = 0, held = 0;
  for (; frames < budget && bytes < kBatchBytes && held + kBuffer <= kReceived; ++frames) {
    std::uint8_t* buffer = received_.get() + held;
    const ssize_t count = ::read(tap_.get(), buffer, kBuffer);
    if (count < static_cast<ssize_t>(sizeof(wire::NetHeader))) {
      // EINVAL: the kernel had a frame that it could not express, and has dropped it.
      more_ = count > 0 || (count < 0 && (errno == EINTR || errno == EINVAL));
      break;
    }
    wire::NetHeader header;
    std::memcpy(&header, buffer, sizeof header);
    const iovec piece{buffer + sizeof header, static_cast<std::size_t>(count) - sizeof header};
    if (piece.iov_len > 0) stack.on_frame({&piece, 1}, piece.iov_len, to_offload(header));
    bytes += static_cast<std::size_t>(count);
    held = stack.holds_frames() ? held + align_up(static_cast<std::size_t>(count)) : 0;
  }
  return frames;
}

std::span<const iovec> TapPort::reserve(std::size_t bytes) {
  if (bytes > kBuffer - sizeof(wire::NetHeader)) return {};
  room_ = {sent_.get() + sizeof(wire::NetHeader), bytes};
  return {&room_, 1};
}

// A tap takes every frame or, when memory or the interface is down, loses it as any link does.
void TapPort::commit(std::size_t bytes, const netstack::Offload& offload) {
  MICROAGENT_CHECK(bytes <= room_.iov_len);
  wire::NetHeader header = to_header(offload);
  std::memcpy(sent_.get(), &header, sizeof header);
  (void)!::write(tap_.get(), sent_.get(), sizeof header + bytes);
}

}  // namespace microagent::netd
