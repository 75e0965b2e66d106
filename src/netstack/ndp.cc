#include "netstack/ndp.h"

#include <array>

#include "base/pieces.h"
#include "wire/icmp.h"
#include "wire/ip.h"

namespace microagent::netstack {
namespace {

using wire::IpAddress;

constexpr IpAddress kNobody{{}, IpAddress::Family::ipv6};
constexpr IpAddress kAllNodes{{0xff, 0x02, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 1}, IpAddress::Family::ipv6};

constexpr unsigned kAutonomousPrefix = 64;  // RFC 4862 with RFC 2464

}  // namespace

bool Ndp::is_ndp(const Packet& packet) {
  std::array<std::uint8_t, 1> type{};
  return packet.protocol == wire::kProtocolIcmpv6 && copy_front(packet.payload, type) == 1 &&
         type[0] >= wire::kNdpRouterSolicitation && type[0] <= wire::kNdpRedirect;
}

void Ndp::on_packet(Packet& packet) {
  std::array<std::uint8_t, kMaxMessage> bytes;
  const bool right = packet.hop_limit == wire::kNdpHopLimit && packet.bytes <= bytes.size() && checksum_ok(packet);
  const ByteView message = ByteView(bytes).first(right ? copy_front(packet.payload, bytes) : 0);
  const bool has_code = message.size() >= 2 && message[1] == 0;
  const auto taken = [&] {
    switch (message[0]) {
      case wire::kNdpRouterSolicitation: return on_router_solicitation(packet, message);
      case wire::kNdpNeighbourSolicitation: return on_solicitation(packet, message);
      default: return true;  // what the guest tells we know already
    }
  };
  if (!has_code || !taken()) ++environment_.counters.malformed;
}

// False when the message is not right.
bool Ndp::on_solicitation(const Packet& packet, ByteView message) {
  wire::NdpNeighbour asked;
  Reader reader(message);
  if (!reader.read(asked)) return false;
  const auto options = wire::look_at_ndp_options(reader.rest());
  const bool from_nobody = packet.source == kNobody;
  // One that looks whether an address is taken has none that could be noted.
  if (!options.right || (from_nobody && options.has_source_address)) return false;
  const auto target = IpAddress::ipv6(asked.target);
  const Config& config = environment_.config;
  if (target != gateway_address(config, IpAddress::Family::ipv6) && target != gateway_link_local(config)) return true;

  struct {
    wire::NdpNeighbour neighbour;
    wire::NdpLinkAddress link_address;
  } answer;
  answer.neighbour.type = wire::kNdpNeighbourAdvertisement;
  answer.neighbour.flags =
      wire::NdpNeighbour::kRouter | wire::NdpNeighbour::kOverride | (from_nobody ? 0U : wire::NdpNeighbour::kSolicited);
  answer.neighbour.target = asked.target;
  answer.link_address.type = wire::NdpLinkAddress::kTarget;
  answer.link_address.address = config.gateway_mac;
  send({target, from_nobody ? kAllNodes : packet.source},
       MutableBytes(reinterpret_cast<std::uint8_t*>(&answer), sizeof answer));
  return true;
}

bool Ndp::on_router_solicitation(const Packet& packet, ByteView message) {
  wire::NdpRouterSolicitation asked;
  Reader reader(message);
  if (!reader.read(asked)) return false;
  const auto options = wire::look_at_ndp_options(reader.rest());
  const bool from_nobody = packet.source == kNobody;
  if (!options.right || (from_nobody && options.has_source_address)) return false;
  advertise(from_nobody ? kAllNodes : packet.source);
  next_advertisement_ns_ = environment_.now_ns + kIntervalNs;
  return true;
}

void Ndp::advertise(const IpAddress& to) {
  const Config& config = environment_.config;
  struct {
    wire::NdpRouterAdvertisement router;
    wire::NdpLinkAddress link_address;
    wire::NdpMtu mtu;
    wire::NdpPrefix prefix;
    wire::NdpResolver resolver;
  } told;
  // The prefix is not on the link: beside the gateway nobody is.
  const bool autonomous = config.prefix_length6 == kAutonomousPrefix;
  told.router.flags = autonomous ? wire::NdpRouterAdvertisement::kOther
                                 : wire::NdpRouterAdvertisement::kManaged | wire::NdpRouterAdvertisement::kOther;
  told.router.router_lifetime = kRouterLifetime;
  told.link_address.type = wire::NdpLinkAddress::kSource;
  told.link_address.address = config.gateway_mac;
  told.mtu.mtu = config.mtu;
  told.prefix.prefix_length = config.prefix_length6;
  told.prefix.flags = autonomous ? wire::NdpPrefix::kAutonomous : std::uint8_t{0};
  told.prefix.prefix = config.gateway_ip6;
  for (std::size_t bit = config.prefix_length6; bit < 128; ++bit) {
    told.prefix.prefix[bit / 8] &= static_cast<std::uint8_t>(~(0x80U >> bit % 8));
  }
  told.resolver.resolver = config.gateway_ip6;
  send({gateway_link_local(config), to}, MutableBytes(reinterpret_cast<std::uint8_t*>(&told), sizeof told));
}

// Without room it is lost, and the guest asks again.
void Ndp::send(const Output::Addresses& addresses, MutableBytes message) {
  Output& output = environment_.output;
  const std::uint8_t usual = output.hop_limit;
  output.hop_limit = wire::kNdpHopLimit;
  (void)output.send_datagram(addresses, wire::kProtocolIcmpv6, message, offsetof(wire::IcmpHeader, checksum));
  output.hop_limit = usual;
}

void Ndp::on_time() {
  if (!next_advertisement_ns_ || *next_advertisement_ns_ > environment_.now_ns) return;
  advertise(kAllNodes);
  next_advertisement_ns_ = environment_.now_ns + kIntervalNs;
}

}  // namespace microagent::netstack
