// The table of connections: who a segment, a verdict, a descriptor's event or a deadline is for.

#include "netstack/tcp_flows.h"

#include <sys/epoll.h>
#include <sys/socket.h>

#include <array>
#include <cstring>

#include "base/check.h"
#include "base/pieces.h"
#include "base/siphash.h"
#include "netstack/tcp_impl.h"

namespace microagent::netstack {
namespace {

// A watch token: the slot, its generation, and the kind in the two low bits.
constexpr unsigned kSlotBits = 20;
constexpr std::uint64_t kSlotMask = (1U << kSlotBits) - 1;
constexpr std::uint32_t kGenerationMask = (1U << 30) - 1;

// Copies out the header and cuts it off the payload. False when the packet is no TCP segment.
bool parse_segment(Packet& packet, TcpSegment& out) {
  wire::TcpHeader header;
  if (packet.bytes < sizeof header) return false;
  auto rest = take_front(packet.payload, sizeof header, reinterpret_cast<std::uint8_t*>(&header));
  const std::size_t header_bytes = header.header_bytes();
  if (header_bytes < sizeof header || header_bytes > packet.bytes) return false;
  std::array<std::uint8_t, wire::kMaxTcpOptions> option_bytes;
  const std::size_t option_count = header_bytes - sizeof header;
  rest = take_front(rest, option_count, option_bytes.data());
  const auto options = wire::parse_tcp_options(ByteView(option_bytes).first(option_count));
  if (!options) return false;
  out.seq = Seq(header.sequence);
  out.ack = Seq(header.acknowledgment);
  out.window = header.window;
  out.syn = (header.flags & wire::kTcpSyn) != 0;
  out.fin = (header.flags & wire::kTcpFin) != 0;
  out.rst = (header.flags & wire::kTcpRst) != 0;
  out.has_ack = (header.flags & wire::kTcpAck) != 0;
  out.options = *options;
  out.payload = rest;
  out.bytes = packet.bytes - header_bytes;
  return true;
}

// The ports, read on a copy of their own: the key is needed before the payload may be cut.
bool read_ports(const Packet& packet, TcpKey& key) {
  struct {
    be16 source, destination;
  } ports;
  if (packet.bytes < sizeof ports) return false;
  copy_front(packet.payload, MutableBytes(reinterpret_cast<std::uint8_t*>(&ports), sizeof ports));
  key = TcpKey{{packet.source, ports.source}, {packet.destination, ports.destination}};
  return key.guest.port != 0 && key.remote.port != 0;
}

}  // namespace

std::uint64_t TcpFlows::Impl::hash(const TcpKey& key) const { return KeyHash{&env.config.hash_key}(key); }

std::size_t TcpFlows::Impl::KeyHash::operator()(const TcpKey& tuple) const {
  // The guest chooses its ports and its peers' addresses; the families follow from the addresses.
  std::array<std::uint8_t, 36> bytes;
  std::memcpy(bytes.data(), tuple.guest.address.bytes.data(), 16);
  std::memcpy(bytes.data() + 16, tuple.remote.address.bytes.data(), 16);
  std::memcpy(bytes.data() + 32, &tuple.guest.port, 2);
  std::memcpy(bytes.data() + 34, &tuple.remote.port, 2);
  return siphash(*key, bytes);
}

TcpConnection* TcpFlows::Impl::find(const TcpKey& key) {
  const auto found = by_key.find(key);
  return found == by_key.end() ? nullptr : &slots[found->second];
}

TcpConnection* TcpFlows::Impl::find_flow(FlowId flow) {
  const auto found = by_flow.find(flow);
  return found == by_flow.end() ? nullptr : &slots[found->second];
}

std::uint64_t TcpFlows::Impl::token_of(const TcpConnection& c) const {
  return with_kind(std::uint64_t{c.generation} << kSlotBits | c.slot, Kind::tcp);
}

TcpConnection* TcpFlows::Impl::find_token(std::uint64_t token) {
  const std::uint64_t number = token >> kKindBits;
  const std::size_t slot = number & kSlotMask;
  if (slot >= slots.size()) return nullptr;
  TcpConnection& c = slots[slot];
  const bool same = c.state != TcpState::free && c.generation == number >> kSlotBits;
  return same ? &c : nullptr;
}

TcpConnection& TcpFlows::Impl::add(const TcpKey& key, FlowId flow, TcpState state) {
  if (free_slots.empty()) {
    MICROAGENT_CHECK(slots.size() <= kSlotMask);
    free_slots.push_back(static_cast<std::uint32_t>(slots.size()));
    slots.emplace_back();
  }
  const std::uint32_t slot = free_slots.back();
  free_slots.pop_back();
  TcpConnection& c = slots[slot];
  const std::uint32_t generation = (c.generation + 1) & kGenerationMask;
  c = TcpConnection();
  c.slot = slot;
  c.generation = generation;
  c.key = key;
  c.flow = flow;
  c.state = state;
  c.opened_ns = c.last_heard_ns = env.now_ns;
  c.ts_offset = static_cast<std::uint32_t>(hash(key) >> 32);
  by_key.emplace(key, slot);
  by_flow.emplace(flow, slot);
  ++env.counters.flows;
  return c;
}

void TcpFlows::Impl::remove(TcpConnection& c) {
  if (c.held) release_held(c, c.held->size());
  if (c.out_of_order) c.out_of_order->clear(memory);
  deadlines.cancel(c.timer);
  const auto key = by_key.find(c.key);
  if (key != by_key.end() && key->second == c.slot) by_key.erase(key);
  const auto flow = by_flow.find(c.flow);
  if (flow != by_flow.end() && flow->second == c.slot) by_flow.erase(flow);
  free_slots.push_back(c.slot);
  // Lingering connections have left the count already.
  if (c.state != TcpState::time_wait) --env.counters.flows;
  const std::uint32_t generation = c.generation;
  c = TcpConnection();
  c.generation = generation;
}

void TcpFlows::Impl::set_timer(TcpConnection& c) {
  deadlines.set(c.timer, token_of(c), std::min(c.retransmit_due_ns, c.idle_due_ns));
}

void TcpFlows::Impl::expire(TcpConnection& c) {
  if (c.state == TcpState::time_wait) return remove(c);
  if (c.retransmit_due_ns <= env.now_ns) {
    c.retransmit_due_ns = kNever;
    c.probing ? probe(c) : on_retransmission_timeout(c);
  } else if (c.idle_due_ns <= env.now_ns) {
    c.idle_due_ns = kNever;
    on_idle(c);
  }
  if (c.state != TcpState::free) set_timer(c);
}

void TcpFlows::Impl::on_segment(const TcpKey& key, Packet& packet) {
  TcpConnection* c = find(key);
  // Kept before the header is cut off, for what may open a connection only.
  Quote quote;
  if (c == nullptr || c->state == TcpState::time_wait) quote = quote_of(packet);
  TcpSegment segment;
  if (!parse_segment(packet, segment)) {
    ++env.counters.malformed;
    return;
  }
  const bool opens = segment.syn && !segment.has_ack && !segment.rst && !segment.fin;
  if (c != nullptr && c->state == TcpState::time_wait && opens && time_wait_gives_way(*c, segment)) {
    remove(*c);
    c = nullptr;
  }
  if (c == nullptr) return opens ? on_new_syn(key, segment, quote) : on_segment_of_nobody(key, segment);

  c->last_heard_ns = env.now_ns;
  switch (c->state) {
    case TcpState::free:
    case TcpState::abandoned: return;
    case TcpState::opening:
      // The SYN again changes nothing; a reset ends the wish.
      if (segment.rst && segment.seq == c->irs + 1) reset_by_guest(*c);
      return;
    case TcpState::syn_sent: return on_syn_sent(*c, segment);
    case TcpState::syn_received:
      if (!on_syn_received(*c, segment)) return;
      on_established(*c, segment);
      // What the host has said meanwhile, even if the segment itself was no good.
      if (c->state == TcpState::established) pump(*c);
      return;
    case TcpState::established: return on_established(*c, segment);
    case TcpState::time_wait:
      // Its FIN again, or an old segment: it is told where we stand, but empty segments not without end.
      if (segment.rst || (segment.length() == 0 && !may_challenge(*c))) return;
      (void)send_control(*c, c->snd_nxt, wire::kTcpAck);
      return;
  }
}

// RFC 9293, 3.10.7.1.
void TcpFlows::Impl::on_segment_of_nobody(const TcpKey& key, const TcpSegment& segment) {
  if (segment.rst || env.severed) return;
  if (segment.has_ack) return send_reset(key, segment.ack, Seq(), wire::kTcpRst);
  send_reset(key, Seq(), segment.seq + segment.length(), wire::kTcpRst | wire::kTcpAck);
}

TcpFlows::TcpFlows(Environment& environment) : impl_(std::make_unique<Impl>(environment)) {}

TcpFlows::~TcpFlows() = default;

void TcpFlows::on_packet(Packet& packet) {
  TcpKey key;
  if (!read_ports(packet, key) || !checksum_ok(packet)) {
    ++impl_->env.counters.malformed;
    return;
  }
  impl_->on_segment(key, packet);
}

void TcpFlows::on_icmp_error(const wire::IpAddress& from, const wire::IpAddress& to, ByteView quoted, bool hard) {
  struct {
    be16 source, destination;
    be32 sequence;
  } ports;
  if (!Reader(quoted).read(ports)) return;
  TcpConnection* c = impl_->find({{to, ports.destination}, {from, ports.source}});
  if (c == nullptr || c->state != TcpState::syn_sent || !hard) return;
  if (Seq(ports.sequence) == c->iss) impl_->on_dial_refused(*c, End::refused);
}

void TcpFlows::on_splice(FlowId flow, Fd fd, BudgetId budget) {
  TcpConnection* c = impl_->find_flow(flow);
  // Nothing when the flow has ended, which was told before this verdict came.
  c == nullptr ? abort_descriptor(std::move(fd)) : impl_->splice(*c, std::move(fd), budget);
}

void TcpFlows::on_refuse(FlowId flow, Refusal refusal) {
  if (TcpConnection* c = impl_->find_flow(flow)) impl_->refuse(*c, refusal);
}

void TcpFlows::on_drop(FlowId flow) {
  TcpConnection* c = impl_->find_flow(flow);
  if (c == nullptr) return;
  if (c->answered) return impl_->reset_guest(*c, End::killed);
  const bool waits = c->state == TcpState::opening || c->state == TcpState::abandoned;
  if (waits) impl_->remove(*c);
}

void TcpFlows::on_peek(FlowId flow, std::size_t limit) {
  if (TcpConnection* c = impl_->find_flow(flow)) impl_->peek(*c, limit);
}

void TcpFlows::dial(FlowId flow, const GuestService& service, Fd fd) { impl_->dial(flow, service, std::move(fd)); }

bool TcpFlows::kill(FlowId flow) {
  TcpConnection* c = impl_->find_flow(flow);
  if (c == nullptr || c->state == TcpState::time_wait) return false;
  impl_->reset_guest(*c, End::killed);
  return true;
}

void TcpFlows::kill_all() {
  std::vector<FlowId> flows;
  for (const auto& [flow, slot] : impl_->by_flow) flows.push_back(flow);
  for (const FlowId flow : flows) kill(flow);
}

void TcpFlows::on_descriptor(std::uint64_t token, std::uint32_t epoll_events) {
  TcpConnection* c = impl_->find_token(token);
  if (c == nullptr || !c->fd) return;
  if ((epoll_events & (EPOLLIN | EPOLLRDHUP | EPOLLHUP | EPOLLERR)) != 0) c->host_readable = true;
  if ((epoll_events & EPOLLRDHUP) != 0) c->host_hung_up = true;
  if ((epoll_events & EPOLLPRI) != 0) c->has_urgent = true;
  if ((epoll_events & EPOLLERR) != 0) {
    int error = 0;
    socklen_t size = sizeof error;
    if (::getsockopt(c->fd.get(), SOL_SOCKET, SO_ERROR, &error, &size) == 0 && error != 0) {
      return impl_->on_host_failure(*c, error);
    }
  }
  const bool may_drain = (epoll_events & EPOLLOUT) != 0 && c->held_bytes() > 0 && !c->host_failed;
  if (may_drain && !impl_->drain_held(*c)) return;
  impl_->pump(*c);
}

void TcpFlows::on_wire_room() {
  impl_->send_owed_resets();
  // Until one finds no room again, which then comes to the end of the queue.
  for (bool room = true; room && !impl_->without_room.empty();) {
    const std::uint64_t token = impl_->without_room.front();
    impl_->without_room.pop_front();
    TcpConnection* c = impl_->find_token(token);
    if (c == nullptr) continue;
    c->awaits_room = false;
    impl_->go_on(*c);
    room = impl_->find_token(token) == nullptr || !c->awaits_room;
  }
}

void TcpFlows::flush(Round round) { impl_->send_owed_acks(round); }

bool TcpFlows::puts_off() const { return !impl_->owed_acks.empty(); }

void TcpFlows::on_time() {
  impl_->deadlines.run(impl_->env.now_ns, [this](std::uint64_t token) {
    if (TcpConnection* c = impl_->find_token(token)) impl_->expire(*c);
  });
}

std::size_t TcpFlows::bytes_waiting() const { return Impl::kMemory - impl_->memory.left(); }

std::optional<std::uint64_t> TcpFlows::next_deadline() const { return impl_->deadlines.next(); }

}  // namespace microagent::netstack
