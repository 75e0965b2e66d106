#pragma once

// The guest's TCP/IP peer: frames, descriptor events and a time in; frames and requests out. Knows neither virtio nor
// the verdict protocol; both are behind the two interfaces below, so that tests run it with a fake wire and clock.

#include <sys/uio.h>

#include <array>
#include <cstdint>
#include <memory>
#include <optional>
#include <span>

#include "base/bytes.h"
#include "base/fd.h"
#include "netstack/budget.h"
#include "netstack/dropped.h"
#include "wire/ip_address.h"

namespace microagent::netstack {

using FlowId = std::uint64_t;

struct Endpoint {
  wire::IpAddress address;
  std::uint16_t port = 0;  // host order; the echo identifier for icmp_echo
  auto operator<=>(const Endpoint&) const = default;
};

// A port of the guest's that somebody on the host wants to reach, and by which family they do.
struct GuestService {
  // NOLINTNEXTLINE(google-explicit-constructor): most are a port, and no more is to be said
  GuestService(std::uint16_t port_, wire::IpAddress::Family client_ = wire::IpAddress::Family::ipv4)
      : port(port_), client(client_) {}

  std::uint16_t port;
  wire::IpAddress::Family client;
};

enum class Protocol : std::uint8_t { icmp_echo = 1, tcp = 6, udp = 17 };
enum class Refusal : std::uint8_t { reset, net_unreachable, host_unreachable, port_unreachable, admin_prohibited };
enum class End : std::uint8_t { finished, guest_reset, host_reset, timed_out, killed, refused, no_resources, capped };

struct FlowTotals {
  std::uint64_t bytes_out = 0;  // guest to host
  std::uint64_t bytes_in = 0;
  std::uint64_t duration_us = 0;
  End end = End::finished;
};

struct Config {
  std::array<std::uint8_t, 6> guest_mac{}, gateway_mac{};
  std::array<std::uint8_t, 4> guest_ip{}, gateway_ip{};
  std::uint8_t prefix_length = 24;
  bool has_ipv6 = false;  // without it every IPv6 frame is counted and dropped
  std::array<std::uint8_t, 16> guest_ip6{}, gateway_ip6{};
  std::uint8_t prefix_length6 = 64;
  std::uint16_t mtu = 1500;
  std::array<std::array<std::uint8_t, 4>, 4> dns{};
  std::uint8_t dns_count = 0;
  std::array<std::uint8_t, 16> hash_key{};  // random: flow table and initial sequence numbers (RFC 6528)
  std::size_t max_flows = 16'384;
  bool sockets_peek_at_offset = false;  // SO_PEEK_OFF works on TCP sockets (Linux 6.9), probed by netd
};

// virtio_net_hdr without num_buffers (virtio 1.2, 5.1.6), host order: the offloads of one frame.
struct Offload {
  std::uint8_t flags = 0;     // VIRTIO_NET_HDR_F_NEEDS_CSUM, _DATA_VALID
  std::uint8_t gso_type = 0;  // VIRTIO_NET_HDR_GSO_*
  std::uint16_t hdr_len = 0, gso_size = 0, csum_start = 0, csum_offset = 0;
};

// Towards the guest. Implemented by the virtio net device (and by a tap, and by the tests' fake).
class Wire {
 public:
  virtual ~Wire() = default;

  // What the guest's driver accepts (negotiated): with `tso` a TCP frame may hold 64 KiB with gso_size set; with `csum`
  // a frame may leave its checksum partial (NEEDS_CSUM).
  struct Abilities {
    bool csum = false, tso4 = false, tso6 = false, uso = false;
  };
  virtual Abilities abilities() const = 0;

  // Reserves room in guest memory for one frame of at most `bytes` (Ethernet header included) and returns the pieces to
  // write it into, first byte of the Ethernet header first; empty when the guest has not posted enough buffers
  // (on_wire_room() follows when it has). One reservation at a time; commit or abandon it before anything else.
  virtual std::span<const iovec> reserve(std::size_t bytes) = 0;
  // Gives the reserved frame to the guest, `bytes` of it used. The guest is notified at the end of the batch.
  virtual void commit(std::size_t bytes, const Offload& offload) = 0;
  virtual void abandon() = 0;
};

// What is wanted to be known of a descriptor.
enum class Interest : std::uint8_t {
  stream,     // EPOLLIN | EPOLLPRI | EPOLLOUT | EPOLLRDHUP
  datagrams,  // EPOLLIN | EPOLLRDHUP: those that find no room are lost, and after each that was sent there is room
};

// Towards the event loop and whoever decides. Implemented by netd.
class Upcalls {
 public:
  virtual ~Upcalls() = default;

  // The guest wants a flow. Exactly one of Stack::on_splice, on_refuse and on_drop follows, perhaps before this
  // returns; for TCP perhaps on_peek before it.
  virtual void open(FlowId flow, Protocol protocol, const Endpoint& guest, const Endpoint& destination) = 0;
  // More of what the guest sends on a flow that is peeked at; `ended` when that was all. The pieces are valid during
  // the call only.
  virtual void first_bytes(FlowId flow, std::span<const iovec> pieces, bool ended) = 0;
  virtual void closed(FlowId flow, const FlowTotals& totals) = 0;

  // Edge-triggered epoll on a descriptor, registered once. `token` comes back in Stack::on_descriptor. forget() before
  // the descriptor is closed.
  virtual bool watch(int fd, std::uint64_t token, Interest interest) = 0;
  virtual void forget(int fd) = 0;
};

// Of batches of frames and events: whether the next one follows at once, or the loop is about to sleep.
enum class Round : std::uint8_t { goes_on, last };

class Stack {
 public:
  // Whether the MTU is one that the internet protocols can live with.
  static bool accepts(const Config& config);

  // `budgets` says how many bytes flows may move; all that it keeps is whoever decides' to set.
  Stack(const Config& config, Wire& wire, Upcalls& upcalls, Budgets& budgets);
  ~Stack();
  Stack(const Stack&) = delete;
  Stack& operator=(const Stack&) = delete;

  // One frame from the guest. `pieces` point into guest memory (the guest may change it at any moment; headers are
  // copied out once, then validated, then used). The span is read during the call only, the memory until flush(), so
  // that datagrams can go out in batches.
  void on_frame(std::span<const iovec> pieces, std::size_t bytes, const Offload& offload);

  // Answers to open(). A splice owns `fd`: a connected nonblocking TCP, UDP, ping or AF_UNIX (stream for TCP, seqpacket
  // or datagram for UDP) socket. What moves between it and the guest is charged to `budget`.
  void on_splice(FlowId flow, Fd fd, BudgetId budget = kNoBudget);
  void on_refuse(FlowId flow, Refusal refusal);
  void on_drop(FlowId flow);
  // Accepts the guest's connection and tells what it sends, at most `limit` bytes, which are kept for the splice.
  void on_peek(FlowId flow, std::size_t limit);

  // Opens a stream or conversation to a service of the guest's, from the gateway's address: at each place where it may
  // be in turn (dial_places.h), as long as it is refused. `first` is the first datagram (UDP).
  void dial(FlowId flow, Protocol protocol, const GuestService& service, Fd fd, ByteView first);

  void kill(FlowId flow);
  // Ends every flow and answers nothing any more.
  void sever();

  void on_descriptor(std::uint64_t token, std::uint32_t epoll_events);
  // The budgets were set anew: flows that were refused bytes try again.
  void on_budgets();
  // The guest has posted receive buffers after reserve() came back empty.
  void on_wire_room();
  // Whether flush() will look at the memory of a frame. Where it will not, that memory is free at once.
  bool holds_frames() const;
  // End of one batch of frames and events: what was put off goes out, all of it in the last round before a sleep.
  void flush(Round round = Round::last);
  // Whether something waits for the next round.
  bool puts_off() const;

  // Runs what is due; the next deadline (CLOCK_MONOTONIC ns), nothing when idle.
  void on_time(std::uint64_t now_ns);
  std::optional<std::uint64_t> next_deadline() const;

  struct Counters {
    std::uint64_t frames_in = 0, frames_out = 0, malformed = 0, unsupported = 0, no_room = 0, spoofed = 0;
    std::uint64_t dropped = 0;  // datagrams that neither the host nor we could hold
    std::size_t flows = 0;
  };
  Counters counters() const;
  // What was dropped and is due to be told: call until there is nothing.
  std::optional<DroppedPackets::Report> next_dropped();

 private:
  struct Impl;
  std::unique_ptr<Impl> impl_;
};

}  // namespace microagent::netstack
