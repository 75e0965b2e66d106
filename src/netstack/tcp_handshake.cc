// How connections begin: the guest's SYN, the verdict, SYN|ACK; and the other way round for published ports.

#include <fcntl.h>
#include <sys/epoll.h>
#include <sys/socket.h>

#include <algorithm>

#include "netstack/dial_places.h"
#include "netstack/tcp_impl.h"

namespace microagent::netstack {

using wire::kTcpAck;
using wire::kTcpRst;
using wire::kTcpSyn;

namespace {

constexpr std::uint16_t kFirstDialPort = 32'768, kLastDialPort = 60'999;
constexpr std::uint16_t kMinMss = 64;       // below it a guest asks for work, not for data (CVE-2019-11477)
constexpr std::uint16_t kDefaultMss = 536;  // RFC 9293, 3.7.1

bool is_tcp_socket(int fd) {
  int domain = 0;
  socklen_t size = sizeof domain;
  return ::getsockopt(fd, SOL_SOCKET, SO_DOMAIN, &domain, &size) == 0 && domain != AF_UNIX;
}

// Urgent data is data (RFC 6093, 5): without this the kernel takes a byte out of the stream that we count.
void keep_urgent_inline(int fd) {
  const int on = 1;
  ::setsockopt(fd, SOL_SOCKET, SO_OOBINLINE, &on, sizeof on);
}

bool enable_peek_offset(int fd) {
  const int offset = 0;
  return ::setsockopt(fd, SOL_SOCKET, SO_PEEK_OFF, &offset, sizeof offset) == 0;
}

}  // namespace

void TcpFlows::Impl::on_new_syn(const TcpKey& key, const TcpSegment& syn, const Quote& quote) {
  const bool own_address = key.guest.address == guest_address(env.config, key.guest.address.family);
  if (env.severed || !own_address) return;
  if (env.full()) return send_reset(key, Seq(), syn.seq + 1, kTcpRst | kTcpAck);
  TcpConnection& c = add(key, env.new_flow(Kind::tcp), TcpState::opening);
  c.quote = std::make_unique<Quote>(quote);
  learn_syn(c, syn);
  env.upcalls.open(c.flow, Protocol::tcp, key.guest, key.remote);
}

// What the guest offers in its SYN or SYN|ACK, and where both sequences begin.
void TcpFlows::Impl::learn_syn(TcpConnection& c, const TcpSegment& syn) {
  c.irs = syn.seq;
  c.rcv_nxt = c.last_ack_sent = syn.seq + 1;
  c.rcv_adv = c.rcv_nxt + kFirstWindow;
  c.timestamps = syn.options.timestamps.has_value();
  if (c.timestamps) c.ts_recent = syn.options.timestamps->value;
  c.sack = syn.options.sack_permitted;
  // Scaling is for both directions or for none (RFC 7323, 2.2).
  c.snd_scale = syn.options.window_scale.value_or(0);
  c.rcv_scale = syn.options.window_scale ? kReceiveScale : std::uint8_t{0};
  const auto ours = static_cast<std::uint16_t>(env.output.mtu_payload(c.key.guest.address) - sizeof(wire::TcpHeader));
  const std::uint16_t mss = std::min(std::max(syn.options.mss.value_or(kDefaultMss), kMinMss), ours);
  c.mss = static_cast<std::uint16_t>(mss - (c.timestamps ? 12 : 0));
  c.snd_wnd = c.max_wnd = syn.window;
  c.snd_wl1 = syn.seq;
}

// The initial sequence number of RFC 6528: a clock of 4 microseconds, and a secret hash of the tuple.
void TcpFlows::Impl::accept(TcpConnection& c) {
  c.iss = Seq(static_cast<std::uint32_t>(hash(c.key)) + static_cast<std::uint32_t>(env.now_ns / 4096));
  c.snd_una = c.iss;
  c.snd_nxt = c.snd_max = c.iss + 1;
  c.snd_wl2 = c.iss;
  c.state = TcpState::syn_received;
  c.answered = true;
  c.quote.reset();
  send_handshake(c);
  c.idle_due_ns = env.now_ns + kHandshakeNs;
  restart_retransmission(c);
}

// From here on the descriptor is watched.
bool TcpFlows::Impl::adopt(TcpConnection& c, Fd fd) {
  c.is_tcp = is_tcp_socket(fd.get());
  if (c.is_tcp) keep_urgent_inline(fd.get());
  c.peeks_at_offset = (!c.is_tcp || env.config.sockets_peek_at_offset) && enable_peek_offset(fd.get());
  c.read_size = kFirstRead;
  c.fd = std::move(fd);
  if (env.upcalls.watch(c.fd.get(), token_of(c), Interest::stream)) return true;
  abort_descriptor(std::move(c.fd));
  return false;
}

void TcpFlows::Impl::splice(TcpConnection& c, Fd fd, BudgetId budget) {
  if (c.fd) return abort_descriptor(std::move(fd));  // never said twice by an honest mediator
  c.answered = true;
  c.budget = budget;
  if (c.state == TcpState::abandoned) {
    abort_descriptor(std::move(fd));
    return end(c, End::guest_reset);
  }
  if (!adopt(c, std::move(fd))) return reset_guest(c, End::no_resources);
  if (c.state == TcpState::opening) return accept(c);
  // After a peek: what was kept goes first.
  c.peeked = false;
  if (c.state != TcpState::established || !drain_held(c)) return;
  owe_ack(c, true);
  pump(c);
}

void TcpFlows::Impl::refuse(TcpConnection& c, Refusal refusal) {
  if (c.state == TcpState::abandoned) return remove(c);
  if (c.state != TcpState::opening) return reset_guest(c, End::killed);
  // RFC 9293, 3.10.7.1 says how a closed port answers; the others speak ICMP. A guest that has used up its ICMP errors
  // is not left waiting for its own timeout.
  const bool told = refusal != Refusal::reset && env.icmp_errors.send(*c.quote, refusal);
  if (!told) send_reset(c.key, Seq(), c.rcv_nxt, kTcpRst | kTcpAck);
  remove(c);
}

void TcpFlows::Impl::peek(TcpConnection& c, std::size_t limit) {
  c.answered = true;
  if (c.state == TcpState::abandoned) return end(c, End::guest_reset);
  if (c.state != TcpState::opening) return;
  c.peeked = true;
  c.peek_limit = static_cast<std::uint32_t>(std::min<std::size_t>(limit, kFirstWindow));
  c.held = std::make_unique<HeldBytes>();
  c.rcv_adv = c.rcv_nxt;
  accept(c);
}

void TcpFlows::Impl::dial(FlowId flow, const GuestService& service, Fd fd) {
  const auto fail = [&](End how) {
    abort_descriptor(std::move(fd));
    env.upcalls.closed(flow, FlowTotals{.end = how});
  };
  if (env.severed) return fail(End::killed);
  if (env.full() || find_flow(flow) != nullptr) return fail(End::no_resources);
  const wire::IpAddress place = first_dial_place(env.config, service);
  TcpKey key{{place, service.port}, {gateway_address(env.config, place.family), 0}};
  constexpr unsigned kPorts = kLastDialPort - kFirstDialPort + 1;
  if (next_dial_port == 0) next_dial_port = static_cast<std::uint16_t>(kFirstDialPort + hash(key) % kPorts);
  for (unsigned tries = 0; key.remote.port == 0; ++tries) {
    if (tries == kPorts) return fail(End::no_resources);
    next_dial_port = next_dial_port >= kLastDialPort ? kFirstDialPort : static_cast<std::uint16_t>(next_dial_port + 1);
    key.remote.port = next_dial_port;
    if (find(key) != nullptr) key.remote.port = 0;
  }
  TcpConnection& c = add(key, flow, TcpState::syn_sent);
  c.dialled = c.answered = true;
  c.for_ipv6 = service.client == wire::IpAddress::Family::ipv6;
  if (!adopt(c, std::move(fd))) return end(c, End::no_resources);
  c.idle_due_ns = env.now_ns + kHandshakeNs;
  send_dial(c);
}

void TcpFlows::Impl::send_dial(TcpConnection& c) {
  c.iss = Seq(static_cast<std::uint32_t>(hash(c.key)) + static_cast<std::uint32_t>(env.now_ns / 4096));
  c.snd_una = c.iss;
  c.snd_nxt = c.snd_max = c.iss + 1;
  c.round_trip = {};
  send_handshake(c);
  restart_retransmission(c);
}

void TcpFlows::Impl::send_handshake(TcpConnection& c) {
  send_syn(c, c.state == TcpState::syn_sent ? kTcpSyn : static_cast<std::uint8_t>(kTcpSyn | kTcpAck));
}

void TcpFlows::Impl::on_dial_refused(TcpConnection& c, End how) {
  const GuestService service(c.key.guest.port, c.for_ipv6 ? Family::ipv6 : Family::ipv4);
  const auto place = next_dial_place(env.config, service, c.key.guest.address);
  if (!place) return end(c, how);
  const TcpKey next{{*place, service.port}, {gateway_address(env.config, place->family), c.key.remote.port}};
  if (find(next) != nullptr) return end(c, how);
  const std::uint32_t slot = by_key.at(c.key);
  by_key.erase(c.key);
  c.key = next;
  by_key.emplace(next, slot);
  c.retries = 0;
  send_dial(c);
}

// RFC 9293, 3.10.7.3.
void TcpFlows::Impl::on_syn_sent(TcpConnection& c, const TcpSegment& segment) {
  const bool good_ack = segment.has_ack && segment.ack == c.iss + 1;
  if (segment.has_ack && !good_ack) {
    if (!segment.rst) send_reset(c.key, segment.ack, Seq(), kTcpRst);
    return;
  }
  if (segment.rst) {
    if (good_ack) on_dial_refused(c, End::refused);
    return;
  }
  if (!segment.syn) return;
  learn_syn(c, segment);
  if (!good_ack) {
    // Both have opened at once (3.5, figure 8).
    c.state = TcpState::syn_received;
    send_handshake(c);
    return restart_retransmission(c);
  }
  c.snd_una = c.iss + 1;
  c.snd_wl2 = segment.ack;
  establish(c, segment);
  owe_ack(c, true);
  pump(c);
}

bool TcpFlows::Impl::on_syn_received(TcpConnection& c, const TcpSegment& segment) {
  const bool good_ack = segment.has_ack && segment.ack == c.iss + 1;
  if (segment.syn && segment.seq == c.irs && !segment.rst) {
    // Our SYN|ACK was lost, or the guest's crossed it in a simultaneous open.
    if (!good_ack) return send_handshake(c), false;
    establish(c, segment);
    return pump(c), false;
  }
  if (segment.rst) {
    if (segment.seq == c.rcv_nxt) reset_by_guest(c);
    return false;
  }
  // RFC 5961, 4: a guest that has begun anew answers with its reset.
  if (segment.syn || !in_window(c, segment)) return challenge(c), false;
  if (!segment.has_ack) return false;
  if (!good_ack) return send_reset(c.key, segment.ack, Seq(), kTcpRst), false;
  establish(c, segment);
  return true;
}

void TcpFlows::Impl::establish(TcpConnection& c, const TcpSegment& segment) {
  c.state = TcpState::established;
  c.retries = 0;
  c.round_trip.reset_backoff();
  c.snd_una = max(c.snd_una, c.iss + 1);
  c.snd_wnd = segment.window << (segment.syn ? 0 : c.snd_scale);
  c.max_wnd = std::max(c.max_wnd, c.snd_wnd);
  c.snd_wl1 = segment.seq;
  c.snd_wl2 = segment.ack;
  c.retransmit_due_ns = kNever;
  c.idle_due_ns = env.now_ns + kIdleNs;
  set_timer(c);
}

}  // namespace microagent::netstack
