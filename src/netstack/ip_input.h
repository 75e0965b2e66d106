#pragma once

#include <array>
#include <optional>
#include <span>

#include "netstack/environment.h"
#include "netstack/fragments.h"
#include "netstack/packet.h"

namespace microagent::netstack {

// From whom a packet of the guest may be, and to whom it goes.
enum class Reach : std::uint8_t {
  gateway,    // to the gateway itself
  elsewhere,  // through the gateway
  everybody,  // broadcast and multicast: only for the protocols that configure the guest
  absent,     // a neighbour that does not exist: the wire has two ends
  nowhere,    // what no host puts on a wire: loopback, the unspecified address, the guest's own
};
Reach reach_of(const wire::IpAddress& destination, const Config& config);

// Broadcasts, and groups of the link alone (RFC 5771, RFC 4291).
bool stays_on_link(const wire::IpAddress& destination);

// Copies the IP header of a frame out of guest memory, once, and judges it; joins fragments.
class IpInput {
 public:
  explicit IpInput(Environment& environment) : environment_(environment), fragments_(environment) {}

  // `pieces` are what follows the Ethernet header, `bytes` in all. The packet's header is good until the next call.
  // Nothing: dropped, and counted why, or a fragment of what is not whole yet.
  std::optional<Packet> take_ipv4(std::span<iovec> pieces, std::size_t bytes, const Offload& offload);

  std::optional<Packet> take_ipv6(std::span<iovec> pieces, std::size_t bytes, const Offload& offload);

  void on_time() { fragments_.on_time(); }
  std::optional<std::uint64_t> next_deadline() const { return fragments_.next_deadline(); }

 private:
  bool has_good_source(const Packet& packet) const;
  bool has_good_source6(const Packet& packet) const;
  // Cuts the extension headers off; joins fragments on the way. Nothing when the packet is not whole, or not right,
  // which is counted.
  std::optional<Packet> walk_extensions(Packet packet, std::size_t transport_at);

  Environment& environment_;
  Fragments fragments_;
  std::array<std::uint8_t, 60> header_{};
};

bool asks_for_offload(const Offload& offload);

// Whether the offloads that the guest asks for are those of this packet, whose transport header begins `transport_at`
// bytes into the frame.
bool offload_fits(const Packet& packet, std::size_t transport_at);

}  // namespace microagent::netstack
