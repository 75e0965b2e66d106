#include "netstack/arp.h"

#include "base/pieces.h"
#include "wire/arp.h"

namespace microagent::netstack {
namespace {

// The guest may ask in its own name, in none before it has one (RFC 5227), and in that of its loopback, from which it
// answers flows that were dialled there.
bool may_ask(const std::array<std::uint8_t, 4>& sender, const Config& config) {
  constexpr std::array<std::uint8_t, 4> kNone{};
  constexpr std::uint8_t kLoopbackNet = 127;
  return sender == config.guest_ip || sender == kNone || sender[0] == kLoopbackNet;
}

}  // namespace

void Arp::on_packet(std::span<iovec> pieces, std::size_t bytes) {
  wire::ArpPacket packet;
  if (bytes < sizeof packet) {
    ++environment_.counters.malformed;
    return;
  }
  take_front(pieces, sizeof packet, reinterpret_cast<std::uint8_t*>(&packet));
  if (packet.hardware_type != wire::kArpEthernet || packet.protocol_type != wire::kEtherTypeIpv4 ||
      packet.hardware_length != 6 || packet.protocol_length != 4) {
    ++environment_.counters.unsupported;
    return;
  }
  const Config& config = environment_.config;
  if (packet.sender_mac != config.guest_mac || !may_ask(packet.sender_ip, config)) {
    ++environment_.counters.spoofed;
    return;
  }
  if (packet.operation != wire::kArpRequest || packet.target_ip != config.gateway_ip) return;

  wire::ArpPacket reply;
  reply.operation = wire::kArpReply;
  reply.sender_mac = config.gateway_mac;
  reply.sender_ip = config.gateway_ip;
  reply.target_mac = packet.sender_mac;
  reply.target_ip = packet.sender_ip;
  // Without room the reply is lost, and the guest asks again.
  (void)environment_.output.send_frame(wire::kEtherTypeArp, bytes_of(reply));
}

}  // namespace microagent::netstack
