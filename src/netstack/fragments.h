#pragma once

#include <optional>
#include <vector>

#include "netstack/environment.h"
#include "netstack/packet.h"

namespace microagent::netstack {

// Joins the fragments of the guest's datagrams, both families, within bounds that fragments which never become whole
// cannot exceed: the oldest datagram gives way.
//
// Fragments that overlap end their datagram (RFC 5722, and for IPv4 the same); a copy of what was received is ignored.
// A datagram that does not become whole in time is told by ICMP if its first fragment was received.
class Fragments {
 public:
  static constexpr std::size_t kMaxPending = 64;
  static constexpr std::size_t kMaxBytes = 1024 * 1024;  // of all pending datagrams
  static constexpr std::size_t kMaxParts = 64;           // separate parts of one datagram
  static constexpr std::uint64_t kTimeoutNs = 30'000'000'000;

  struct Place {
    std::uint32_t identification = 0;
    std::size_t offset = 0;
    bool more = false;
  };

  explicit Fragments(Environment& environment) : environment_(environment) {}

  // A fragment; its payload is the part. Gives the whole datagram when this was the last part that was missing; it is
  // good until the next call.
  std::optional<Packet> add(const Packet& fragment, const Place& place);

  void on_time();
  std::optional<std::uint64_t> next_deadline() const;

  std::size_t bytes() const { return bytes_; }
  std::size_t pending() const { return pending_.size(); }

 private:
  struct Part {
    std::size_t begin = 0, end = 0;
  };
  struct Pending {
    wire::IpAddress source, destination;
    std::uint8_t protocol = 0;  // IPv6: what the first fragment says
    std::uint32_t identification = 0;
    std::uint64_t deadline_ns = 0;
    bool spoiled = false;  // kept to swallow what is still to come
    std::vector<std::uint8_t> bytes;
    std::vector<Part> parts;  // disjoint, in order, none touching the next
    std::optional<std::size_t> total;
    // Of the first fragment.
    std::array<std::uint8_t, 60> header{};
    std::size_t header_bytes = 0;
    std::uint8_t hop_limit = 0;
    Quote quote;
  };

  Pending& find_or_begin(const Packet& fragment, const Place& place);
  bool copy_in(Pending& pending, const Packet& fragment, const Place& place);
  bool is_repeated(const Pending& pending, const Packet& fragment, const Place& place) const;
  bool make_room(const Pending& keep, std::size_t bytes);
  void spoil(Pending& pending);
  void remove(std::size_t index);
  std::optional<Packet> take_whole(Pending& pending);

  Environment& environment_;
  std::vector<Pending> pending_;  // oldest first
  std::size_t bytes_ = 0;
  Pending whole_;  // the datagram that add() gave last
  iovec whole_piece_{};
};

}  // namespace microagent::netstack
