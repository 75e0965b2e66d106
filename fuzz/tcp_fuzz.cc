// A guest that sends any segments in any order, a host that talks, listens and leaves as it likes, a mediator that
// decides anything: the fuzzer's bytes are a script for all of them. Beyond the sanitizers it checks what TcpFlows
// promises whatever happens: every frame is one that Linux would take, every flow that was answered is told to have
// ended exactly once, and when all have ended nothing is watched, counted or kept.

#include <poll.h>
#include <sys/epoll.h>
#include <sys/socket.h>

#include <array>
#include <deque>
#include <map>
#include <set>

#include "base/check.h"
#include "netstack/tcp_flows.h"
#include "netstack/testing/test_environment.h"
#include "script.h"
#include "wire/tcp.h"

namespace microagent::netstack {
namespace {

using namespace testing;

constexpr std::uint64_t kMs = 1'000'000;
constexpr std::size_t kMaxSteps = 2000;

class Script : public fuzz::Script {
 public:
  using fuzz::Script::Script;
  std::uint16_t word() { return static_cast<std::uint16_t>(next() << 8 | next()); }
  // Mostly near zero, sometimes far off, to both sides.
  std::uint32_t delta() {
    const std::uint8_t kind = next();
    switch (kind >> 6) {
      case 0: return kind & 0x3fU;
      case 1: return 0 - (kind & 0x3fU);
      case 2: return (kind & 0x3fU) << 11;
      default: return std::uint32_t{next()} << 24 | std::uint32_t{kind & 0x3fU} << 10;
    }
  }
};

// One tuple of the guest's, with what a guest would know of its connection.
struct Tuple {
  Endpoint guest, remote;
  std::uint32_t next = 1000;  // what the guest would send
  std::uint32_t heard = 0;    // what it would acknowledge
  std::uint32_t edge = 1000;  // of the window that it was given
};

class World : TestEnvironment {
 public:
  explicit World(ByteView script) : script_(script), flows_(environment) {}

  void run() {
    for (std::size_t steps = 0; !script_.over() && steps < kMaxSteps; ++steps) step();
    end_all();
  }

 private:
  void step() {
    switch (script_.next() % 17) {
      case 0:
      case 1:
      case 2:
      case 3:
      case 4: return send_segment();
      case 5: return send_syn();
      case 6: return decide();
      case 7: return host_writes();
      case 8: return host_reads();
      case 9: return host_leaves();
      case 10: return advance(std::uint64_t{script_.word()} * kMs);
      case 11: return change_room();
      case 12: return dial();
      case 13: return kill();
      case 14: return complain();
      case 15: return limit();
      default: return settle();
    }
  }

  // ---- The guest ----

  Tuple& tuple() {
    const std::uint8_t choice = script_.next();
    if (choice % 8 >= 6 && !dialled_.empty()) return dialled_[choice / 8U % dialled_.size()];
    return tuples_[choice % tuples_.size()];
  }

  void send_syn() {
    Tuple& t = tuple();
    wire::TcpOptions options;
    const std::uint8_t wanted = script_.next();
    if ((wanted & 1) != 0) options.mss = script_.word();
    if ((wanted & 2) != 0) options.window_scale = script_.next();
    options.sack_permitted = (wanted & 4) != 0;
    if ((wanted & 8) != 0) options.timestamps = stamp();
    const bool accepts = (wanted & 16) != 0;
    std::array<std::uint8_t, wire::kMaxTcpOptions> bytes;
    const std::size_t count = wire::encode_tcp_options(options, bytes);
    const std::uint8_t flags = accepts ? wire::kTcpSyn | wire::kTcpAck : wire::kTcpSyn;
    send(t, flags, t.next - 1, t.heard, ByteView(bytes).first(count), 0);
  }

  void send_segment() {
    Tuple& t = tuple();
    const std::uint8_t shape = script_.next();
    const std::uint8_t flags = (shape & 1) != 0 ? script_.next() & 0x3f : wire::kTcpAck;
    const std::uint32_t seq = ((shape & 2) != 0 ? t.edge : t.next) + ((shape & 4) != 0 ? script_.delta() : 0);
    const std::uint32_t ack = t.heard + ((shape & 8) != 0 ? script_.delta() : 0);
    const std::size_t bytes = (shape & 16) != 0 ? script_.word() % 40'000 : script_.next() % 16;
    std::array<std::uint8_t, wire::kMaxTcpOptions> options{};
    std::size_t count = 0;
    if ((shape & 32) != 0) {
      count = script_.next() % 11 * 4;
      for (std::size_t i = 0; i < count; ++i) options[i] = script_.next();
    } else if ((shape & 64) != 0) {
      wire::TcpOptions sensible;
      sensible.timestamps = stamp();
      if ((shape & 128) != 0) {
        const std::uint32_t left = t.heard + script_.delta();
        sensible.sack[sensible.sack_count++] = {left, left + script_.delta()};
      }
      count = wire::encode_tcp_options(sensible, options);
    }
    send(t, flags, seq, ack, ByteView(options).first(count), bytes);
    if ((shape & 7) == 0) t.next += static_cast<std::uint32_t>(bytes);
  }

  wire::TcpTimestamps stamp() {
    return {static_cast<std::uint32_t>(environment.now_ns / kMs) + script_.delta(), last_stamp_ + script_.delta()};
  }

  void send(const Tuple& t, std::uint8_t flags, std::uint32_t seq, std::uint32_t ack, ByteView options,
            std::size_t bytes) {
    wire::TcpHeader header;
    header.source_port = t.guest.port;
    header.destination_port = t.remote.port;
    header.sequence = seq;
    header.acknowledgment = ack;
    header.flags = flags;
    header.window = script_.word();
    header.data_offset = static_cast<std::uint8_t>((sizeof header + options.size()) / 4 << 4);
    Bytes transport = joined({bytes_of(header), options, Bytes(bytes, static_cast<std::uint8_t>(seq))});
    const IpFields fields{.source = t.guest.address, .destination = t.remote.address, .protocol = wire::kProtocolTcp};
    Bytes packet_bytes = ip_packet(fields, transport);
    iovec piece{packet_bytes.data() + sizeof(wire::Ipv4Header), transport.size()};
    Packet packet{.source = fields.source,
                  .destination = fields.destination,
                  .protocol = fields.protocol,
                  .hop_limit = 64,
                  .payload = {&piece, 1},
                  .bytes = transport.size(),
                  .checksum_left_out = true,
                  .network_header = ByteView(packet_bytes).first(sizeof(wire::Ipv4Header))};
    flows_.on_packet(packet);
    // Sometimes a batch goes on.
    if ((bytes & 1) == 0) settle();
  }

  void complain() {
    const Tuple& t = tuple();
    wire::TcpHeader header;
    header.source_port = t.remote.port;
    header.destination_port = t.guest.port;
    header.sequence = t.heard - 1 + script_.delta();
    flows_.on_icmp_error(t.remote.address, t.guest.address, bytes_of(header).first(8), true);
  }

  // ---- The mediator ----

  void decide() {
    const std::uint8_t choice = script_.next();
    if (pending_.empty()) return;
    const auto which = std::next(pending_.begin(), choice / 16 % static_cast<int>(pending_.size()));
    const FlowId flow = *which;
    const int action = choice % 16;
    if (action >= 8 && action < 12) {
      flows_.on_peek(flow, script_.word());
      if (peeked_.insert(flow).second) answered_.insert(flow);
      return;
    }
    pending_.erase(which);
    const bool void_now = closed_.contains(flow);
    if (action < 8) {
      std::array<int, 2> ends{};
      MICROAGENT_CHECK(::socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0, ends.data()) == 0);
      hosts_.emplace_back(ends[1]);
      if (!void_now) answered_.insert(flow);
      flows_.on_splice(flow, Fd(ends[0]), static_cast<BudgetId>(action % 3));
    } else if (action < 15) {
      flows_.on_refuse(flow, static_cast<Refusal>(action - 12));
    } else {
      flows_.on_drop(flow);
    }
  }

  void limit() {
    const BudgetId id = 1 + script_.next() % 2;
    const std::uint8_t what = script_.next();
    const Budgets::Limit limit{.bytes = (what & 1) != 0 ? script_.word() * std::uint64_t{4} : Budgets::kUnlimited,
                               .bytes_per_second = (what & 2) != 0 ? script_.word() : Budgets::kUnlimited,
                               .last = (what & 4) != 0};
    MICROAGENT_CHECK(budgets.set(id, limit, environment.now_ns));
    settle();
  }

  void dial() {
    std::array<int, 2> ends{};
    MICROAGENT_CHECK(::socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0, ends.data()) == 0);
    hosts_.emplace_back(ends[1]);
    const FlowId flow = FlowId{1} << 63 | ++last_dial_;
    answered_.insert(flow);
    flows_.dial(flow, 8080, Fd(ends[0]));
  }

  void kill() {
    const std::uint8_t choice = script_.next();
    if (answered_.empty()) return;
    (void)flows_.kill(*std::next(answered_.begin(), choice % static_cast<int>(answered_.size())));
  }

  // ---- The host ----

  Fd* some_host() {
    const std::uint8_t choice = script_.next();
    return hosts_.empty() ? nullptr : &hosts_[choice % hosts_.size()];
  }

  void host_writes() {
    const std::size_t bytes = script_.word();
    if (Fd* host = some_host()) (void)::send(host->get(), Bytes(bytes).data(), bytes, MSG_NOSIGNAL);
    settle();
  }
  void host_reads() {
    Bytes room(script_.word());
    if (Fd* host = some_host()) (void)::recv(host->get(), room.data(), room.size(), 0);
    settle();
  }
  void host_leaves() {
    const bool half = script_.next() % 2 == 0;
    Fd* host = some_host();
    if (host == nullptr) return;
    half ? static_cast<void>(::shutdown(host->get(), SHUT_WR)) : host->reset();
    settle();
  }

  // ---- Events and time ----

  void change_room() {
    const std::uint8_t choice = script_.next();
    wire.frames_of_room.reset();
    if (choice % 4 != 0) wire.frames_of_room = choice / 4 % 8;
    flows_.on_wire_room();
    settle();
  }

  void advance(std::uint64_t ns) {
    environment.now_ns += ns;
    flows_.on_time();
    settle();
  }

  // All that can be told is told, and the batch ends.
  void settle() {
    const auto watched = upcalls.watched;
    for (const auto& [fd, token] : watched) {
      pollfd polled{fd, POLLIN | POLLOUT | POLLRDHUP | POLLPRI, 0};
      if (::poll(&polled, 1, 0) == 1) flows_.on_descriptor(token, static_cast<std::uint32_t>(polled.revents));
    }
    if (budgets.reopened(environment.now_ns)) flows_.on_budget();
    flows_.flush();
    look();
  }

  // What was sent and told meanwhile.
  void look() {
    for (const auto& opened : std::exchange(upcalls.opened, {})) MICROAGENT_CHECK(pending_.insert(opened.flow).second);
    for (const auto& closed : std::exchange(upcalls.ends, {})) {
      MICROAGENT_CHECK(answered_.contains(closed.flow) && closed_.insert(closed.flow).second);
    }
    upcalls.peeked.clear();
    for (const Frame& frame : wire.take()) {
      const Parsed parsed = parse(frame);
      MICROAGENT_CHECK(parsed.problem.empty());
      if (parsed.protocol == wire::kProtocolTcp) learn(parsed);
    }
  }

  void learn(const Parsed& parsed) {
    const auto header = header_of<wire::TcpHeader>(parsed.payload);
    const std::size_t header_bytes = header.header_bytes();
    MICROAGENT_CHECK(header_bytes >= sizeof header && header_bytes <= parsed.payload.size());
    const auto options =
        wire::parse_tcp_options(ByteView(parsed.payload).subspan(sizeof header, header_bytes - sizeof header));
    MICROAGENT_CHECK(options.has_value());
    if (options->timestamps) last_stamp_ = options->timestamps->value;
    const Endpoint guest{parsed.destination, header.destination_port}, remote{parsed.source, header.source_port};
    const auto is_it = [&](const Tuple& t) { return t.guest == guest && t.remote == remote; };
    auto known = std::ranges::find_if(tuples_, is_it);
    Tuple* t = known == tuples_.end() ? nullptr : &*known;
    if (t == nullptr) {
      const auto dialled = std::ranges::find_if(dialled_, is_it);
      if (dialled == dialled_.end() && (header.flags & wire::kTcpSyn) != 0) {
        dialled_.push_back({guest, remote});
        t = &dialled_.back();
      } else if (dialled != dialled_.end()) {
        t = &*dialled;
      }
    }
    if (t == nullptr || (header.flags & wire::kTcpRst) != 0) return;
    const bool syn = (header.flags & wire::kTcpSyn) != 0, fin = (header.flags & wire::kTcpFin) != 0;
    t->heard = header.sequence + static_cast<std::uint32_t>(parsed.payload.size() - header_bytes) + syn + fin;
    if ((header.flags & wire::kTcpAck) == 0) return;
    t->next = header.acknowledgment;
    t->edge = header.acknowledgment + (std::uint32_t{header.window} << 7);
  }

  void end_all() {
    look();
    for (const FlowId flow : pending_) flows_.on_refuse(flow, Refusal::reset);
    flows_.kill_all();
    wire.frames_of_room.reset();
    flows_.on_wire_room();
    look();
    // Hours later.
    for (int i = 0; i < 100 && flows_.next_deadline(); ++i) {
      environment.now_ns = std::max(environment.now_ns, *flows_.next_deadline());
      flows_.on_time();
    }
    flows_.flush();
    look();
    MICROAGENT_CHECK(closed_ == answered_);
    MICROAGENT_CHECK(counters.flows == 0);
    MICROAGENT_CHECK(upcalls.watched.empty());
    MICROAGENT_CHECK(flows_.bytes_waiting() == 0);
    MICROAGENT_CHECK(!flows_.next_deadline());
  }

  Script script_;
  TcpFlows flows_;
  std::array<Tuple, 4> tuples_{Tuple{{kGuest, 4001}, {kServer, 80}}, Tuple{{kGuest, 4002}, {kServer, 80}},
                               Tuple{{kGuest, 4003}, {kServer, 443}}, Tuple{{kGuest, 4001}, {kGateway, 53}}};
  std::deque<Tuple> dialled_;
  std::vector<Fd> hosts_;
  std::set<FlowId> pending_, peeked_, answered_, closed_;
  FlowId last_dial_ = 0;
  std::uint32_t last_stamp_ = 0;
};

}  // namespace
}  // namespace microagent::netstack

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  microagent::netstack::World({data, size}).run();
  return 0;
}
