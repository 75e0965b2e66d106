#pragma once

// What the parts of TcpFlows know of each other: tcp_flows.cc keeps the table, tcp_handshake.cc begins connections,
// tcp_receive.cc takes what the guest sends, tcp_send.cc sends it what the host says, tcp_queue.cc looks at that in the
// host's queue, tcp_budget.cc charges for bytes, tcp_recovery.cc repeats what was lost, tcp_output.cc writes segments,
// tcp_close.cc ends them.

#include <array>
#include <deque>
#include <unordered_map>
#include <vector>

#include "netstack/icmp_errors.h"
#include "netstack/tcp_connection.h"
#include "netstack/tcp_flows.h"
#include "wire/tcp.h"

namespace microagent::netstack {

// A segment of the guest, its header copied and checked.
struct TcpSegment {
  Seq seq, ack;
  std::uint32_t window = 0;  // as it stands in the header, unscaled
  bool syn = false, fin = false, rst = false, has_ack = false;
  wire::TcpOptions options;
  std::span<iovec> payload;
  std::size_t bytes = 0;  // of payload

  std::uint32_t length() const { return static_cast<std::uint32_t>(bytes) + (syn ? 1U : 0U) + (fin ? 1U : 0U); }
};

// Closes by a reset where it is a TCP socket: its far end learns that the stream was cut.
void abort_descriptor(Fd fd);

struct TcpFlows::Impl {
  static constexpr std::uint64_t kMillisecondNs = 1'000'000, kSecondNs = 1'000'000'000;
  // Deadlines (egress.md, "Caps and deadlines"; RFC 9293, 3.8.3; RFC 5382).
  static constexpr std::uint64_t kHandshakeNs = 10 * kSecondNs;
  static constexpr std::uint64_t kIdleNs = 7200 * kSecondNs;
  static constexpr std::uint64_t kKeepAliveNs = 75 * kSecondNs;
  static constexpr std::uint8_t kKeepAlives = 9;
  static constexpr std::uint8_t kRetries = 15;
  // Nothing survives on the virtual wire for longer than the guest's own retransmissions.
  static constexpr std::uint64_t kTimeWaitNs = 4 * kSecondNs;
  static constexpr std::size_t kMaxTimeWait = 4096;
  static constexpr std::uint64_t kChallengeNs = 10 * kMillisecondNs;  // RFC 5961, 7

  // Of all connections' bytes that wait in our memory.
  static constexpr std::size_t kMemory = 64 * 1024 * 1024;
  static constexpr std::size_t kMaxOutOfOrder = 1024 * 1024;  // of one connection

  // The window: what the descriptor takes for sure, and this much more, so that a full descriptor is noticed by its
  // refusal and its room by EPOLLOUT.
  static constexpr std::uint32_t kOvercommit = 64 * 1024;
  static constexpr std::uint32_t kMaxReceiveWindow = 4 * 1024 * 1024;
  static constexpr std::uint32_t kFirstWindow = 65'535;  // until the handshake is over
  static constexpr std::uint8_t kReceiveScale = 7;

  static constexpr std::uint32_t kFirstRead = 4 * 1024;
  static constexpr std::uint32_t kConsumeStep = 128 * 1024;
  // Of the 1024 pieces that one system call takes (UIO_MAXIOV): those of a frame, and those that skip what lies before.
  static constexpr std::size_t kMaxPlaces = 896, kMaxSkips = 128;

  struct KeyHash {
    const std::array<std::uint8_t, 16>* key;
    std::size_t operator()(const TcpKey& tuple) const;
  };

  explicit Impl(Environment& environment) : env(environment), by_key(0, KeyHash{&environment.config.hash_key}) {}

  // --- The table (tcp_flows.cc).
  TcpConnection* find(const TcpKey& key);
  TcpConnection* find_flow(FlowId flow);
  TcpConnection* find_token(std::uint64_t token);
  std::uint64_t token_of(const TcpConnection& c) const;
  TcpConnection& add(const TcpKey& key, FlowId flow, TcpState state);
  void remove(TcpConnection& c);
  void set_timer(TcpConnection& c);
  void expire(TcpConnection& c);
  std::uint64_t hash(const TcpKey& key) const;
  // A guest that gives no room may still open connections and lose them: their tokens do not pile up.
  template <typename Tokens>
  void forget_dead(Tokens& tokens) {
    if (tokens.size() <= 2 * slots.size()) return;
    std::erase_if(tokens, [this](std::uint64_t token) { return find_token(token) == nullptr; });
  }

  void on_segment(const TcpKey& key, Packet& packet);
  void on_segment_of_nobody(const TcpKey& key, const TcpSegment& segment);

  // --- Beginning (tcp_handshake.cc).
  void on_new_syn(const TcpKey& key, const TcpSegment& syn, const Quote& quote);
  void learn_syn(TcpConnection& c, const TcpSegment& syn);
  void accept(TcpConnection& c);
  void on_syn_sent(TcpConnection& c, const TcpSegment& segment);
  // False when the segment did not complete the handshake.
  bool on_syn_received(TcpConnection& c, const TcpSegment& segment);
  void send_handshake(TcpConnection& c);
  void establish(TcpConnection& c, const TcpSegment& segment);
  bool adopt(TcpConnection& c, Fd fd);
  void splice(TcpConnection& c, Fd fd, BudgetId budget);
  void refuse(TcpConnection& c, Refusal refusal);
  void peek(TcpConnection& c, std::size_t limit);
  void dial(FlowId flow, const GuestService& service, Fd fd);
  void send_dial(TcpConnection& c);
  void on_dial_refused(TcpConnection& c, End how);

  // --- From the guest (tcp_receive.cc).
  void on_established(TcpConnection& c, TcpSegment& segment);
  // False when the segment is to be ignored; what has to be answered was.
  bool accept_segment(TcpConnection& c, const TcpSegment& segment);
  bool in_window(const TcpConnection& c, const TcpSegment& segment) const;
  void take_window(TcpConnection& c, const TcpSegment& segment);
  void take_round_trip(TcpConnection& c, const TcpSegment& segment);
  void trim(TcpConnection& c, TcpSegment& segment);
  void keep_out_of_order(TcpConnection& c, const TcpSegment& segment);
  // Each of the following is false when the connection is over.
  bool on_ack(TcpConnection& c, const TcpSegment& segment);
  bool on_acknowledged(TcpConnection& c, const TcpSegment& segment);
  bool on_payload(TcpConnection& c, TcpSegment& segment);
  bool deliver(TcpConnection& c, std::span<const iovec> pieces, std::size_t bytes);
  bool deliver_out_of_order(TcpConnection& c);
  bool drain_held(TcpConnection& c);
  bool pass_on_end(TcpConnection& c);
  bool hold(TcpConnection& c, std::span<const iovec> pieces, std::size_t skip, std::size_t bytes);
  void release_held(TcpConnection& c, std::size_t bytes);
  std::uint32_t window_of(TcpConnection& c);
  void look_at_room(TcpConnection& c);
  bool may_challenge(TcpConnection& c);
  void challenge(TcpConnection& c);

  // --- To the guest (tcp_send.cc).
  void pump(TcpConnection& c);
  // How much of what follows snd_nxt the guest and the path take now.
  std::uint32_t allowance(const TcpConnection& c) const;
  void pass_over_reported(TcpConnection& c);
  void begin_probing(TcpConnection& c);
  enum class Sent : std::uint8_t { some, nothing, ended, gone };
  Sent send_data(TcpConnection& c, std::uint32_t most);
  Sent on_nothing_to_send(TcpConnection& c, int error);
  void finish_data(TcpConnection& c, Seq seq, std::uint32_t bytes, std::uint8_t flags);
  void adapt_read_size(TcpConnection& c, std::uint32_t bytes);
  std::uint32_t segment_limit(const TcpConnection& c) const;
  void send_fin(TcpConnection& c);
  void await_room(TcpConnection& c);
  void go_on(TcpConnection& c);

  // --- The descriptor's receive queue (tcp_queue.cc).
  // Looks at what lies `offset` bytes behind its front; `more` of it may be wanted soon.
  ssize_t peek_at(TcpConnection& c, std::uint32_t offset, std::span<iovec> pieces, std::uint32_t more);
  ssize_t peek_through(TcpConnection& c, std::uint32_t offset, std::span<iovec> pieces);
  ssize_t peek_from_front(TcpConnection& c, std::uint32_t offset, std::span<iovec> pieces);
  void consume(TcpConnection& c, bool all);

  // --- What its budget lets it move (tcp_budget.cc).
  // Of `bytes` bytes for the descriptor as many as the budget grants and the descriptor takes; -1 with errno when that
  // failed. `refused` when the budget granted less.
  ssize_t send_charged(TcpConnection& c, std::span<const iovec> pieces, std::size_t bytes, bool& refused);
  // As send_data(), of bytes that were never sent before.
  Sent send_new_data(TcpConnection& c, std::uint32_t most);
  Sent look_beyond_budget(TcpConnection& c);
  // Bytes were refused. False when there will be no more: then it has ended.
  bool await_budget(TcpConnection& c);

  // --- What was lost (tcp_recovery.cc).
  // Whether it told anything new.
  bool on_sack(TcpConnection& c, const TcpSegment& segment);
  // After a duplicate acknowledgement or a new report.
  void look_for_loss(TcpConnection& c, bool duplicate);
  void enter_recovery(TcpConnection& c);
  void recover(TcpConnection& c);
  // How much of [at, at + bytes) was sent again, the guest's FIN counted.
  std::uint32_t retransmit(TcpConnection& c, Seq at, std::uint32_t bytes);
  void on_retransmission_timeout(TcpConnection& c);
  void probe(TcpConnection& c);
  void restart_retransmission(TcpConnection& c);
  void on_idle(TcpConnection& c);
  void give_up(TcpConnection& c);

  // --- Segments (tcp_output.cc).
  std::uint32_t timestamp(const TcpConnection& c) const;
  enum class Payload : bool { none, some };
  std::size_t encode_header(TcpConnection& c, Seq seq, std::uint8_t flags, Payload payload, MutableBytes out);
  std::size_t header_bytes(const TcpConnection& c) const;
  void note_ack_sent(TcpConnection& c, bool empty);
  bool send_control(TcpConnection& c, Seq seq, std::uint8_t flags);  // no payload
  void send_syn(TcpConnection& c, std::uint8_t flags);
  void send_reset(const TcpKey& key, Seq seq, Seq ack, std::uint8_t flags);
  struct Reset {
    TcpKey key;
    Seq seq, ack;
    std::uint8_t flags;
  };
  bool try_reset(const Reset& reset);
  // `empty`: a repeated or early segment, whose acknowledgement tells the guest something by itself (RFC 5681, 4.2).
  void owe_ack(TcpConnection& c, bool empty);
  void send_owed_acks(Round round);
  bool may_put_off_ack(const TcpConnection& c) const;
  void send_owed_resets();

  // --- Ending (tcp_close.cc). The connection is no more, or lingers in time_wait.
  void finish_if_over(TcpConnection& c);
  void end(TcpConnection& c, End how);
  void reset_guest(TcpConnection& c, End how);
  void reset_by_guest(TcpConnection& c);
  void on_host_failure(TcpConnection& c, int error);
  void close_host(TcpConnection& c, bool abort);
  void tell_closed(TcpConnection& c, End how);
  void enter_time_wait(TcpConnection& c);
  bool time_wait_gives_way(const TcpConnection& c, const TcpSegment& syn) const;

  Environment& env;
  MemoryBudget memory{kMemory};
  std::deque<TcpConnection> slots;
  std::vector<std::uint32_t> free_slots;
  std::unordered_map<TcpKey, std::uint32_t, KeyHash> by_key;
  std::unordered_map<FlowId, std::uint32_t> by_flow;
  Deadlines deadlines;
  std::vector<std::uint64_t> owed_acks;      // tokens
  std::deque<std::uint64_t> without_room;    // tokens
  std::deque<std::uint64_t> without_budget;  // tokens
  std::deque<std::uint64_t> time_waits;      // tokens, oldest first
  std::deque<Reset> owed_resets;             // that found no room
  std::uint16_t next_dial_port = 0;
  std::vector<std::uint8_t> scratch;  // bytes that are read only to be forgotten
  std::array<iovec, kMaxPlaces + kMaxSkips> peek_pieces;
  // Bytes [offset, offset + size) of one connection's queue, read ahead. What lies in a queue does not change.
  struct Ahead {
    std::uint64_t token = ~std::uint64_t{0};
    std::uint32_t offset = 0, start = 0, size = 0;
    std::vector<std::uint8_t> bytes;

    ByteView at(std::uint64_t of, std::uint32_t from) const;
    void on_consumed(std::uint64_t of, std::uint32_t count);
  } ahead;
};

}  // namespace microagent::netstack
