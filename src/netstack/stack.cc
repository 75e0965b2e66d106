#include "netstack/stack.h"

#include <algorithm>
#include <array>

#include "base/check.h"
#include "base/pieces.h"
#include "netstack/arp.h"
#include "netstack/dhcp.h"
#include "netstack/dhcp6.h"
#include "netstack/echo_flows.h"
#include "netstack/environment.h"
#include "netstack/icmp.h"
#include "netstack/icmp_errors.h"
#include "netstack/ip_input.h"
#include "netstack/ndp.h"
#include "netstack/tcp_flows.h"
#include "netstack/udp_flows.h"
#include "netstack/udp_input.h"
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
  Impl(const Config& config_, Wire& wire, Upcalls& upcalls, Budgets& budgets)
      : config(config_),
        output(config, wire, counters),
        environment{.config = config,
                    .output = output,
                    .upcalls = upcalls,
                    .counters = counters,
                    .icmp_errors = icmp_errors,
                    .budgets = budgets} {
    MICROAGENT_CHECK(accepts(config));
  }

  void on_frame(std::span<const iovec> pieces, std::size_t bytes, const Offload& offload);
  void on_packet(Packet& packet);
  // What configures the guest is for the gateway or for everybody. False when the packet is something else.
  bool configures(Packet& packet);
  void forward(Packet& packet);
  void drop(const Packet& packet);
  void on_budgets();
  void on_icmp(Packet& packet, bool to_gateway);
  void on_guest_error(const GuestError& error);
  void refuse(const Packet& packet, const IcmpError& error);
  // Calls `visit` with the table whose kind the number shows; with nothing when there is none.
  template <typename Visit>
  void with_datagrams(std::uint64_t number, Visit visit);

  Config config;
  Stack::Counters counters;
  Output output;
  Environment environment;
  IcmpErrors icmp_errors{environment};
  Arp arp{environment};
  IpInput ip_input{environment};
  Icmp icmp{environment};
  Dhcp dhcp{environment};
  Ndp ndp{environment};
  Dhcp6 dhcp6{environment};
  TcpFlows tcp{environment};
  UdpFlows udp{environment};
  EchoFlows echo{environment};
  DroppedPackets dropped;
  std::array<iovec, kMaxFramePieces> pieces;  // the frame's, to be cut
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
    case wire::kEtherTypeIpv4:
      if (auto packet = ip_input.take_ipv4(rest, bytes, offload)) on_packet(*packet);
      return;
    case wire::kEtherTypeIpv6:
      if (!config.has_ipv6) break;
      if (auto packet = ip_input.take_ipv6(rest, bytes, offload)) on_packet(*packet);
      return;
    case wire::kEtherTypeArp: return arp.on_packet(rest, bytes);
    default: break;
  }
  ++counters.unsupported;
}

void Stack::Impl::on_packet(Packet& packet) {
  switch (reach_of(packet.destination, config)) {
    case Reach::gateway:
      if (configures(packet)) return;
      return forward(packet);
    case Reach::elsewhere:
      // The gateway is a hop on the way.
      if (packet.hop_limit > 1) return forward(packet);
      return refuse(packet, time_exceeded(wire::kIcmpInTransit, packet.source.family));
    case Reach::absent: return refuse(packet, error_of(Refusal::host_unreachable, packet.source.family));
    case Reach::everybody:
      if (!configures(packet)) drop(packet);
      return;
    case Reach::nowhere: ++counters.malformed; return;
  }
}

bool Stack::Impl::configures(Packet& packet) {
  const bool ipv4 = packet.source.is_ipv4();
  if (!ipv4 && Ndp::is_ndp(packet)) return ndp.on_packet(packet), true;
  if (packet.protocol != wire::kProtocolUdp) return false;
  const std::uint16_t port = udp_destination_port(packet);
  if (ipv4 && port == wire::kDhcpServerPort) return dhcp.on_packet(packet), true;
  if (!ipv4 && port == wire::kDhcp6ServerPort) return dhcp6.on_packet(packet), true;
  return false;
}

void Stack::Impl::forward(Packet& packet) {
  const bool to_gateway = reach_of(packet.destination, config) == Reach::gateway;
  switch (packet.protocol) {
    case wire::kProtocolTcp: return tcp.on_packet(packet);
    case wire::kProtocolUdp: return udp.on_packet(packet);
    case wire::kProtocolIcmp:
      if (packet.source.is_ipv4()) return on_icmp(packet, to_gateway);
      break;
    case wire::kProtocolIcmpv6:
      if (!packet.source.is_ipv4()) return on_icmp(packet, to_gateway);
      break;
    default: break;
  }
  drop(packet);
}

// What no router takes off the link anyway (IGMP, MLD, mDNS and their like) is not worth telling.
void Stack::Impl::drop(const Packet& packet) {
  ++counters.unsupported;
  if (!stays_on_link(packet.destination)) dropped.count(packet.protocol);
}

void Stack::Impl::on_icmp(Packet& packet, bool to_gateway) {
  GuestError error;
  switch (icmp.on_packet(packet, to_gateway, error)) {
    case Icmp::Kind::done: return;
    case Icmp::Kind::echo_elsewhere: return echo.on_request(packet);
    case Icmp::Kind::error: return on_guest_error(error);
  }
}

void Stack::Impl::on_guest_error(const GuestError& error) {
  if (error.protocol == wire::kProtocolTcp) tcp.on_icmp_error(error.from, error.to, error.quoted, error.unreachable);
  if (error.protocol == wire::kProtocolUdp) udp.on_guest_error(error);
}

// Errors are never answered by errors (RFC 1122, 3.2.2).
void Stack::Impl::refuse(const Packet& packet, const IcmpError& error) {
  const bool is_icmp = packet.protocol == wire::kProtocolIcmp || packet.protocol == wire::kProtocolIcmpv6;
  if (is_icmp && !is_echo_request(packet)) return;
  (void)icmp_errors.send(packet, error);
}

bool Stack::accepts(const Config& config) { return config.mtu >= (config.has_ipv6 ? kMinMtu6 : kMinMtu4); }

Stack::Stack(const Config& config, Wire& wire, Upcalls& upcalls, Budgets& budgets)
    : impl_(std::make_unique<Impl>(config, wire, upcalls, budgets)) {}

Stack::~Stack() = default;

void Stack::on_frame(std::span<const iovec> pieces, std::size_t bytes, const Offload& offload) {
  if (!impl_->environment.severed) impl_->on_frame(pieces, bytes, offload);
}

template <typename Visit>
void Stack::Impl::with_datagrams(std::uint64_t number, Visit visit) {
  if (kind_of(number) == Kind::udp) visit(static_cast<DatagramFlows&>(udp));
  if (kind_of(number) == Kind::echo) visit(static_cast<DatagramFlows&>(echo));
}

void Stack::on_splice(FlowId flow, Fd fd, BudgetId budget) {
  if (kind_of(flow) == Kind::tcp) return impl_->tcp.on_splice(flow, std::move(fd), budget);
  impl_->with_datagrams(flow, [&](DatagramFlows& flows) { flows.on_splice(flow, std::move(fd), budget); });
}

void Stack::on_refuse(FlowId flow, Refusal refusal) {
  if (kind_of(flow) == Kind::tcp) return impl_->tcp.on_refuse(flow, refusal);
  impl_->with_datagrams(flow, [&](DatagramFlows& flows) { flows.on_refuse(flow, refusal); });
}

void Stack::on_drop(FlowId flow) {
  if (kind_of(flow) == Kind::tcp) return impl_->tcp.on_drop(flow);
  impl_->with_datagrams(flow, [&](DatagramFlows& flows) { flows.on_refuse(flow, std::nullopt); });
}

void Stack::on_peek(FlowId flow, std::size_t limit) {
  if (kind_of(flow) == Kind::tcp) impl_->tcp.on_peek(flow, limit);
}

void Stack::dial(FlowId flow, Protocol protocol, const GuestService& service, Fd fd, ByteView first) {
  const bool severed = impl_->environment.severed;
  if (!severed && protocol == Protocol::tcp) return impl_->tcp.dial(flow, service, std::move(fd));
  if (!severed && protocol == Protocol::udp) return impl_->udp.dial(flow, service, std::move(fd), first);
  impl_->environment.upcalls.closed(flow, FlowTotals{.end = severed ? End::killed : End::refused});
}

// A dialled flow's number does not show its kind.
void Stack::kill(FlowId flow) { (void)(impl_->tcp.kill(flow) || impl_->udp.kill(flow) || impl_->echo.kill(flow)); }

void Stack::sever() {
  impl_->environment.severed = true;
  impl_->tcp.kill_all();
  impl_->udp.kill_all();
  impl_->echo.kill_all();
}

void Stack::on_descriptor(std::uint64_t token, std::uint32_t epoll_events) {
  if (kind_of(token) == Kind::tcp) return impl_->tcp.on_descriptor(token, epoll_events);
  impl_->with_datagrams(token, [&](DatagramFlows& flows) { flows.on_descriptor(token, epoll_events); });
}

void Stack::Impl::on_budgets() {
  if (!environment.budgets.reopened(environment.now_ns)) return;
  tcp.on_budget();
  udp.on_budget();
  echo.on_budget();
}

void Stack::on_budgets() { impl_->on_budgets(); }

void Stack::on_wire_room() {
  impl_->tcp.on_wire_room();
  impl_->udp.on_wire_room();
  impl_->echo.on_wire_room();
}

bool Stack::holds_frames() const { return impl_->udp.holds_frames() || impl_->echo.holds_frames(); }

bool Stack::puts_off() const { return impl_->tcp.puts_off(); }

void Stack::flush(Round round) {
  impl_->tcp.flush(round);
  impl_->udp.flush();
  impl_->echo.flush();
}

void Stack::on_time(std::uint64_t now_ns) {
  impl_->environment.now_ns = now_ns;
  impl_->ip_input.on_time();
  impl_->ndp.on_time();
  impl_->tcp.on_time();
  impl_->udp.on_time();
  impl_->echo.on_time();
  impl_->on_budgets();
}

std::optional<std::uint64_t> Stack::next_deadline() const {
  std::optional<std::uint64_t> next = impl_->tcp.next_deadline();
  for (const auto other :
       {impl_->udp.next_deadline(), impl_->echo.next_deadline(), impl_->ip_input.next_deadline(),
        impl_->ndp.next_deadline(), impl_->environment.budgets.reopens_at(), impl_->dropped.deadline()}) {
    if (other && (!next || *other < *next)) next = other;
  }
  return next;
}

Stack::Counters Stack::counters() const { return impl_->counters; }

std::optional<DroppedPackets::Report> Stack::next_dropped() {
  return impl_->dropped.next_report(impl_->environment.now_ns);
}

}  // namespace microagent::netstack
