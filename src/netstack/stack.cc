#include "netstack/stack.h"

#include <algorithm>
#include <array>

#include "base/check.h"
#include "base/pieces.h"
#include "netstack/arp.h"
#include "netstack/environment.h"
#include "netstack/icmp.h"
#include "netstack/icmp_errors.h"
#include "netstack/ip_input.h"
#include "netstack/tcp_flows.h"
#include "wire/ethernet.h"
#include "wire/icmp.h"
#include "wire/ip.h"

namespace microagent::netstack {
namespace {

constexpr std::uint16_t kMinMtu4 = 576;   // RFC 1122, 3.3.3: what every host takes
constexpr std::uint16_t kMinMtu6 = 1280;  // RFC 8200, 5

// Whether a frame is for the gateway: its own address, or a group's.
bool is_for_gateway(const wire::MacAddress& destination, const Config& config) {
  return destination == config.gateway_mac || (destination[0] & 1) != 0;
}

}  // namespace

// Sorts frames to protocols and events to the tables of flows. Verdicts and descriptors find their table by the kind in
// the number; flows that were dialled, whose numbers are not ours, by asking each table.
struct Stack::Impl {
  Impl(const Config& config_, Wire& wire, Upcalls& upcalls)
      : config(config_),
        output(config, wire, counters),
        environment{
            .config = config, .output = output, .upcalls = upcalls, .counters = counters, .icmp_errors = icmp_errors} {
    MICROAGENT_CHECK(accepts(config));
  }

  void on_frame(std::span<const iovec> pieces, std::size_t bytes, const Offload& offload);
  void on_ipv4(std::span<iovec> pieces, std::size_t bytes, const Offload& offload);
  void on_packet(Packet& packet);
  void forward(Packet& packet);
  void on_icmp(Packet& packet, bool to_gateway);
  void on_guest_error(const GuestError& error);
  void refuse(const Packet& packet, const IcmpError& error);

  static constexpr std::size_t kMaxPieces = 1024;

  Config config;
  Stack::Counters counters;
  Output output;
  Environment environment;
  IcmpErrors icmp_errors{environment};
  Arp arp{environment};
  IpInput ip_input{environment};
  Icmp icmp{environment};
  TcpFlows tcp{environment};
  std::array<iovec, kMaxPieces> pieces;  // the frame's, to be cut
};

void Stack::Impl::on_frame(std::span<const iovec> frame, std::size_t bytes, const Offload& offload) {
  ++counters.frames_in;
  wire::EthernetHeader header;
  if (bytes < sizeof header || frame.size() > pieces.size()) {
    ++counters.malformed;
    return;
  }
  std::ranges::copy(frame, pieces.begin());
  const auto rest =
      take_front(std::span(pieces).first(frame.size()), sizeof header, reinterpret_cast<std::uint8_t*>(&header));
  bytes -= sizeof header;
  if (header.source != config.guest_mac) {
    ++counters.spoofed;
    return;
  }
  if (!is_for_gateway(header.destination, config)) {
    ++counters.unsupported;
    return;
  }
  switch (header.ether_type) {
    case wire::kEtherTypeIpv4: return on_ipv4(rest, bytes, offload);
    case wire::kEtherTypeArp: return arp.on_packet(rest, bytes);
    default: ++counters.unsupported;
  }
}

void Stack::Impl::on_ipv4(std::span<iovec> rest, std::size_t bytes, const Offload& offload) {
  auto packet = ip_input.take_ipv4(rest, bytes, offload);
  if (packet) on_packet(*packet);
}

void Stack::Impl::on_packet(Packet& packet) {
  switch (reach_of(packet.destination, config)) {
    case Reach::gateway: return forward(packet);
    case Reach::elsewhere:
      // The gateway is a hop on the way.
      if (packet.hop_limit > 1) return forward(packet);
      return refuse(packet, time_exceeded(wire::kIcmpInTransit, packet.source.family));
    case Reach::absent: return refuse(packet, error_of(Refusal::host_unreachable, packet.source.family));
    case Reach::everybody: ++counters.unsupported; return;
    case Reach::nowhere: ++counters.malformed; return;
  }
}

void Stack::Impl::forward(Packet& packet) {
  const bool to_gateway = reach_of(packet.destination, config) == Reach::gateway;
  switch (packet.protocol) {
    case wire::kProtocolTcp: return tcp.on_packet(packet);
    case wire::kProtocolIcmp:
      if (packet.source.is_ipv4()) return on_icmp(packet, to_gateway);
      break;
    default: break;
  }
  ++counters.unsupported;
}

void Stack::Impl::on_icmp(Packet& packet, bool to_gateway) {
  GuestError error;
  switch (icmp.on_packet(packet, to_gateway, error)) {
    case Icmp::Kind::done: return;
    case Icmp::Kind::echo_elsewhere: ++counters.unsupported; return;
    case Icmp::Kind::error: return on_guest_error(error);
  }
}

void Stack::Impl::on_guest_error(const GuestError& error) {
  if (error.protocol == wire::kProtocolTcp) tcp.on_icmp_error(error.from, error.to, error.quoted, error.unreachable);
}

// Errors are never answered by errors (RFC 1122, 3.2.2).
void Stack::Impl::refuse(const Packet& packet, const IcmpError& error) {
  const bool is_icmp = packet.protocol == wire::kProtocolIcmp || packet.protocol == wire::kProtocolIcmpv6;
  if (is_icmp && !is_echo_request(packet)) return;
  (void)icmp_errors.send(packet, error);
}

bool Stack::accepts(const Config& config) { return config.mtu >= (config.has_ipv6 ? kMinMtu6 : kMinMtu4); }

Stack::Stack(const Config& config, Wire& wire, Upcalls& upcalls)
    : impl_(std::make_unique<Impl>(config, wire, upcalls)) {}

Stack::~Stack() = default;

void Stack::on_frame(std::span<const iovec> pieces, std::size_t bytes, const Offload& offload) {
  if (!impl_->environment.severed) impl_->on_frame(pieces, bytes, offload);
}

void Stack::on_splice(FlowId flow, Fd fd) {
  if (kind_of(flow) == Kind::tcp) impl_->tcp.on_splice(flow, std::move(fd));
}

void Stack::on_refuse(FlowId flow, Refusal refusal) {
  if (kind_of(flow) == Kind::tcp) impl_->tcp.on_refuse(flow, refusal);
}

void Stack::on_drop(FlowId flow) {
  if (kind_of(flow) == Kind::tcp) impl_->tcp.on_drop(flow);
}

void Stack::on_peek(FlowId flow, std::size_t limit) {
  if (kind_of(flow) == Kind::tcp) impl_->tcp.on_peek(flow, limit);
}

void Stack::dial(FlowId flow, Protocol protocol, std::uint16_t guest_port, Fd fd, ByteView) {
  if (!impl_->environment.severed && protocol == Protocol::tcp) return impl_->tcp.dial(flow, guest_port, std::move(fd));
  impl_->environment.upcalls.closed(flow, FlowTotals{.end = End::killed});
}

void Stack::kill(FlowId flow) { (void)impl_->tcp.kill(flow); }

void Stack::sever() {
  impl_->environment.severed = true;
  impl_->tcp.kill_all();
}

void Stack::on_descriptor(std::uint64_t token, std::uint32_t epoll_events) {
  if (kind_of(token) == Kind::tcp) impl_->tcp.on_descriptor(token, epoll_events);
}

void Stack::on_wire_room() { impl_->tcp.on_wire_room(); }

void Stack::flush() { impl_->tcp.flush(); }

void Stack::on_time(std::uint64_t now_ns) {
  impl_->environment.now_ns = now_ns;
  impl_->tcp.on_time();
}

std::optional<std::uint64_t> Stack::next_deadline() const { return impl_->tcp.next_deadline(); }

Stack::Counters Stack::counters() const { return impl_->counters; }

}  // namespace microagent::netstack
