#include "netstack/udp_flows.h"

#include <algorithm>
#include <cstring>

#include "base/pieces.h"
#include "base/siphash.h"
#include "netstack/dial_places.h"
#include "netstack/udp_input.h"
#include "wire/ip.h"
#include "wire/udp.h"
#include "wire/virtio.h"

namespace microagent::netstack {
namespace {

constexpr std::uint16_t kDnsPort = 53;
constexpr std::array<std::uint8_t, 4> kLoopback{127, 0, 0, 1};

bool is_loopback(const wire::IpAddress& address) { return address == wire::IpAddress::ipv4(kLoopback); }

}  // namespace

UdpFlows::UdpFlows(Environment& environment)
    // Half of all flows at most, so that conversations that nobody ends leave room for connections.
    : DatagramFlows(environment, Shape{Kind::udp, Protocol::udp, 0, environment.config.max_flows / 2}) {
  // Not the same ports after every start.
  const std::uint64_t random = siphash(environment.config.hash_key, bytes_of(kFirstDialPort));
  next_dial_port_ = static_cast<std::uint16_t>(kFirstDialPort + random % (kLastDialPort - kFirstDialPort + 1));
}

void UdpFlows::on_packet(Packet& packet) {
  const Quote quote = quote_of(packet);
  const auto datagram = take_udp(packet);
  if (!datagram) {
    ++environment_.counters.malformed;
    return;
  }
  const DatagramKey key{{packet.source, datagram->source_port}, {packet.destination, datagram->destination_port}};
  // From its loopback the guest only answers.
  if (is_loopback(packet.source) && table_.find(key) == nullptr) {
    ++environment_.counters.spoofed;
    return;
  }
  const HostDatagram whole{.payload = datagram->payload,
                           .payload_bytes = datagram->payload_bytes,
                           .hop_limit = packet.hop_limit,
                           .dont_fragment = packet.dont_fragment};
  if (packet.offload.gso_type == wire::kNetHeaderGsoNone) return take_datagram(key, packet, quote, whole);
  take_segments(key, packet, quote, whole, datagram->payload);
}

// Many datagrams that the guest has left to the device to tell apart.
void UdpFlows::take_segments(const DatagramKey& key, const Packet& packet, const Quote& quote, HostDatagram segment,
                             std::span<iovec> rest) {
  for (std::size_t left = segment.payload_bytes; left > 0; left -= segment.payload_bytes) {
    segment.payload_bytes = std::min<std::size_t>(left, packet.offload.gso_size);
    segment.payload = view_front(rest, segment.payload_bytes, segment_pieces_);
    take_datagram(key, packet, quote, segment);
    rest = take_front(rest, segment.payload_bytes, nullptr);
  }
}

void UdpFlows::on_guest_error(const GuestError& error) {
  if (!error.unreachable) return;
  wire::UdpHeader header;
  Reader reader(error.quoted);
  if (!reader.read(header)) return;
  send_batch();
  DatagramFlow* flow = table_.find({{error.to, header.destination_port}, {error.from, header.source_port}});
  if (flow == nullptr || flow->state != DatagramState::live) return;
  if (!flow->dialled || flow->answered) return end(*flow, End::guest_reset);
  const auto next = flow->pending ? next_dial_key(*flow) : std::nullopt;
  if (!next) return end(*flow, End::refused);
  table_.change_key(*flow, *next);
  send_first(*flow);
}

// Perhaps its service is somewhere else.
std::optional<DatagramKey> UdpFlows::next_dial_key(const DatagramFlow& flow) {
  const DatagramKey& key = flow.key;
  const GuestService service(key.guest.port, flow.for_ipv6 ? Family::ipv6 : Family::ipv4);
  const auto place = next_dial_place(environment_.config, service, key.guest.address);
  if (!place) return std::nullopt;
  const DatagramKey next{{*place, service.port},
                         {gateway_address(environment_.config, place->family), key.remote.port}};
  return table_.find(next) == nullptr ? std::optional(next) : std::nullopt;
}

void UdpFlows::dial(FlowId number, const GuestService& service, Fd fd, ByteView first) {
  const auto refuse = [&](End how) { environment_.upcalls.closed(number, FlowTotals{.end = how}); };
  auto socket = HostSocket::adopt(std::move(fd));
  if (!socket || first.size() > kMaxPayload || table_.find_flow(number) != nullptr || !make_room_for_one()) {
    return refuse(End::no_resources);
  }
  const auto key = free_dial_key(service);
  if (!key) return refuse(End::no_resources);
  DatagramFlow& flow = table_.add(*key, DatagramState::awaiting_verdict, patience_of(*key), number);
  flow.for_ipv6 = service.client == wire::IpAddress::Family::ipv6;
  flow.bytes_in = first.size();
  if (!start_moving(flow, std::move(*socket))) return;
  std::uint8_t* const start = const_cast<std::uint8_t*>(first.data());  // an iovec is not const; it is only read
  const iovec piece{start, first.size()};
  keep(flow, HostDatagram{.payload = {&piece, 1}, .payload_bytes = first.size()});
  send_first(flow);
}

std::optional<DatagramKey> UdpFlows::free_dial_key(const GuestService& service) {
  const wire::IpAddress place = first_dial_place(environment_.config, service);
  for (int tries = kFirstDialPort; tries <= kLastDialPort; ++tries) {
    const std::uint16_t port = next_dial_port_;
    next_dial_port_ = port == kLastDialPort ? kFirstDialPort : static_cast<std::uint16_t>(port + 1);
    if (!is_free_for_dial(service, port)) continue;
    return DatagramKey{{place, service.port}, {gateway_address(environment_.config, place.family), port}};
  }
  return std::nullopt;
}

// At whichever place the service is.
bool UdpFlows::is_free_for_dial(const GuestService& service, std::uint16_t gateway_port) {
  const Config& config = environment_.config;
  for (std::optional place = first_dial_place(config, service); place;
       place = next_dial_place(config, service, *place)) {
    const Endpoint gateway{gateway_address(config, place->family), gateway_port};
    if (table_.find({{*place, service.port}, gateway}) != nullptr) return false;
  }
  return true;
}

UdpFlows::GuestHeader UdpFlows::header_for_guest(const DatagramFlow& flow, ByteView, std::size_t payload_bytes) const {
  wire::UdpHeader header;
  header.source_port = flow.key.remote.port;
  header.destination_port = flow.key.guest.port;
  header.length = static_cast<std::uint16_t>(sizeof header + payload_bytes);
  GuestHeader out{.protocol = wire::kProtocolUdp, .checksum_offset = offsetof(wire::UdpHeader, checksum)};
  std::memcpy(out.bytes.data(), &header, sizeof header);
  return out;
}

// All datagrams of a flow have the same ports, so the last one will do.
Quote UdpFlows::quote_for(const DatagramFlow& flow, const SocketError&) const { return flow.quote; }

Patience UdpFlows::patience_of(const DatagramKey& key) const {
  return key.remote.port == kDnsPort ? Patience::brief : Patience::usual;
}

}  // namespace microagent::netstack
