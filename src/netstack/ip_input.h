#pragma once

#include <array>
#include <optional>
#include <span>

#include "netstack/environment.h"
#include "netstack/packet.h"

namespace microagent::netstack {

// From whom a packet of the guest may be, and to whom it goes.
enum class Reach : std::uint8_t {
  gateway,    // to the gateway itself
  elsewhere,  // through the gateway
  everybody,  // broadcast and multicast: only for the protocols that configure the guest
  absent,     // a neighbour that does not exist: the wire has two ends
  nowhere,    // no packet may go there
};
Reach reach_of(const wire::IpAddress& destination, const Config& config);

// Copies the IP header of a frame out of guest memory, once, and judges it.
class IpInput {
 public:
  explicit IpInput(Environment& environment) : environment_(environment) {}

  // `pieces` are what follows the Ethernet header, `bytes` in all. The packet's header is good until the next call.
  // Nothing: dropped, and counted why.
  std::optional<Packet> take_ipv4(std::span<iovec> pieces, std::size_t bytes, const Offload& offload);

 private:
  bool has_good_source(const Packet& packet) const;

  Environment& environment_;
  std::array<std::uint8_t, 60> header_{};
};

// Whether the offloads that the guest asks for are those of this packet, whose transport header begins `transport_at`
// bytes into the frame.
bool offload_fits(const Packet& packet, std::size_t transport_at);

}  // namespace microagent::netstack
