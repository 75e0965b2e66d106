#include "netstack/udp_flows.h"

#include <cstring>

#include "base/siphash.h"
#include "netstack/udp_input.h"
#include "wire/ip.h"
#include "wire/udp.h"

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
  take_datagram(key, packet, quote,
                HostDatagram{.payload = datagram->payload,
                             .payload_bytes = datagram->payload_bytes,
                             .hop_limit = packet.hop_limit,
                             .dont_fragment = packet.dont_fragment});
}

void UdpFlows::on_guest_error(const GuestError& error) {
  if (!error.unreachable) return;
  wire::UdpHeader header;
  Reader reader(error.quoted);
  if (!reader.read(header)) return;
  send_batch();
  DatagramFlow* flow = table_.find({{error.to, header.destination_port}, {error.from, header.source_port}});
  if (flow == nullptr || flow->state != DatagramState::live) return;
  const bool first_try = flow->dialled && !flow->answered && flow->pending && !is_loopback(error.to);
  if (!first_try) return end(*flow, flow->dialled && !flow->answered ? End::refused : End::guest_reset);
  // Perhaps its service listens on its loopback only.
  const DatagramKey loopback{{wire::IpAddress::ipv4(kLoopback), flow->key.guest.port}, flow->key.remote};
  if (table_.find(loopback) != nullptr) return end(*flow, End::refused);
  table_.change_key(*flow, loopback);
  send_first(*flow);
}

void UdpFlows::dial(FlowId number, std::uint16_t guest_port, Fd fd, ByteView first) {
  const auto refuse = [&](End how) { environment_.upcalls.closed(number, FlowTotals{.end = how}); };
  auto socket = HostSocket::adopt(std::move(fd));
  if (!socket || first.size() > kMaxPayload || table_.find_flow(number) != nullptr || !make_room_for_one()) {
    return refuse(End::no_resources);
  }
  const auto key = free_dial_key(guest_port);
  if (!key) return refuse(End::no_resources);
  DatagramFlow& flow = table_.add(*key, DatagramState::awaiting_verdict, patience_of(*key), number);
  flow.bytes_in = first.size();
  if (!start_moving(flow, std::move(*socket))) return;
  std::uint8_t* const start = const_cast<std::uint8_t*>(first.data());  // an iovec is not const; it is only read
  const iovec piece{start, first.size()};
  keep(flow, HostDatagram{.payload = {&piece, 1}, .payload_bytes = first.size()});
  send_first(flow);
}

std::optional<DatagramKey> UdpFlows::free_dial_key(std::uint16_t guest_port) {
  const Config& config = environment_.config;
  const Endpoint guest{wire::IpAddress::ipv4(config.guest_ip), guest_port};
  for (int tries = kFirstDialPort; tries <= kLastDialPort; ++tries) {
    const Endpoint gateway{wire::IpAddress::ipv4(config.gateway_ip), next_dial_port_};
    next_dial_port_ =
        next_dial_port_ == kLastDialPort ? kFirstDialPort : static_cast<std::uint16_t>(next_dial_port_ + 1);
    const Endpoint loopback{wire::IpAddress::ipv4(kLoopback), guest_port};
    if (table_.find({guest, gateway}) == nullptr && table_.find({loopback, gateway}) == nullptr) {
      return DatagramKey{guest, gateway};
    }
  }
  return std::nullopt;
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
