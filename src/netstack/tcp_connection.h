#pragma once

// One TCP connection of the guest (RFC 9293), whose far end is a host descriptor.
//
// Guest to host (tcp_receive.cc). A segment's payload goes by sendmsg(2) from guest memory straight into the
// descriptor, and only what the descriptor took is acknowledged. What it did not take waits in `held`: the window that
// the guest was given follows the room that the descriptor reports, so this is little, and while it waits the window
// does not move. When the guest begins to repeat what waits, it is told that its window is closed: a sender waits for a
// window for ever, but gives up when nothing is acknowledged.
//
// Host to guest (tcp_send.cc). The descriptor's receive queue is the retransmission buffer. Bytes are peeked at
// straight into guest memory, and consumed some time after the guest has acknowledged them:
//
//     consumed        snd_una            snd_nxt        snd_max
//        |--unconsumed--|-----in flight-----|              |        (snd_nxt < snd_max only after a timeout)
//        ^ front of the socket's queue
//
// A byte with sequence number s lies `unconsumed + (s - snd_una)` bytes behind the front of the socket's queue.
//
// A descriptor that has failed still holds what its far end said before: that is delivered, and then the guest is
// reset.

#include <cstdint>
#include <memory>

#include "base/fd.h"
#include "netstack/deadlines.h"
#include "netstack/packet.h"
#include "netstack/sequence.h"
#include "netstack/stack.h"
#include "netstack/tcp_congestion.h"
#include "netstack/tcp_memory.h"
#include "netstack/tcp_rtt.h"
#include "netstack/tcp_scoreboard.h"

namespace microagent::netstack {

enum class TcpState : std::uint8_t {
  free,          // the slot is unused
  opening,       // the guest's SYN waits for a verdict
  abandoned,     // the guest gave up before the verdict, which still has to come
  syn_sent,      // dialled: our SYN waits for the guest
  syn_received,  // our SYN|ACK waits for the guest
  established,   // both sides know; the flags below say who has ended its stream
  time_wait,     // over; late segments of the guest are still answered
};

// Whose connection it is. The guest's address is among it, since dialled ones may go to its 127.0.0.1.
struct TcpKey {
  Endpoint guest, remote;
  bool operator==(const TcpKey&) const = default;
};

struct TcpConnection {
  TcpKey key;
  FlowId flow = 0;
  BudgetId budget = kNoBudget;
  std::uint32_t slot = 0;
  std::uint32_t generation = 0;  // of the slot, so that late events find out that they are late
  TcpState state = TcpState::free;

  // What is true of it.
  bool dialled : 1 = false;          // by us; otherwise the guest opened it
  bool answered : 1 = false;         // spliced or peeked at, or dialled: its end is told
  bool peeked : 1 = false;           // `held` collects first bytes for the verdict
  bool is_tcp : 1 = false;           // the descriptor is a TCP socket, else AF_UNIX
  bool peeks_at_offset : 1 = false;  // SO_PEEK_OFF works on the descriptor
  bool timestamps : 1 = false;       // negotiated (RFC 7323)
  bool sack : 1 = false;             // negotiated (RFC 2018)
  bool host_readable : 1 = false;    // there may be bytes, or an end, to peek at
  bool host_hung_up : 1 = false;     // epoll has told the end of the host's stream
  bool host_failed : 1 = false;      // the descriptor is broken; host_end says how
  bool has_urgent : 1 = false;       // there was urgent data, at which a read stops short
  bool host_ended : 1 = false;       // snd_nxt has reached the end of the host's stream: a FIN follows or was sent
  bool fin_sent : 1 = false;         // at fin_at
  bool fin_acknowledged : 1 = false;
  bool guest_fin_known : 1 = false;  // the guest's FIN has come, at guest_fin_at, perhaps before its turn
  bool guest_ended : 1 = false;      // everything up to it has come
  bool host_shut : 1 = false;        // and was passed on by shutdown(2)
  bool guest_ended_first : 1 = false;
  bool guest_repeats : 1 = false;  // what waits in `held`
  bool owes_ack : 1 = false;
  bool owes_empty_ack : 1 = false;  // a segment with payload does not do
  bool in_ack_list : 1 = false;
  bool awaits_room : 1 = false;    // of the guest's receive ring
  bool awaits_budget : 1 = false;  // was refused bytes
  bool recovering : 1 = false;     // fast recovery, until `recover` is acknowledged
  bool timing : 1 = false;         // a segment is being timed (without timestamps)
  bool probing : 1 = false;        // the guest's window is closed and data waits
  bool for_ipv6 : 1 = false;       // dialled: for a client that speaks IPv6

  std::uint8_t retries = 0;
  std::uint8_t duplicate_acks = 0;
  End host_end = End::host_reset;

  Fd fd;

  // Receiving.
  Seq irs, rcv_nxt;
  Seq rcv_adv;  // the right edge of the window; never moves left
  Seq guest_fin_at;
  std::uint8_t rcv_scale = 0;
  std::uint32_t ts_recent = 0;          // RFC 7323, 4.3
  std::uint32_t held_acknowledged = 0;  // how many of `held`'s first bytes were (first bytes of a peek)
  std::uint32_t peek_limit = 0;
  std::uint32_t room_seen = 0;    // what the descriptor would take for sure at the last look
  std::uint32_t taken_since = 0;  // and what it has taken since
  Seq last_ack_sent;

  // Sending.
  Seq iss, snd_una, snd_nxt, snd_max, fin_at;
  Seq snd_wl1, snd_wl2;
  Seq recover, retransmit_next;
  std::uint32_t snd_wnd = 0, max_wnd = 0;
  std::uint8_t snd_scale = 0;
  std::uint16_t mss = 536;  // of a segment's payload, options already taken off
  std::uint32_t unconsumed = 0;
  std::uint32_t queue_offset = 0;  // where the socket's peek offset stands
  std::uint32_t read_size = 0;     // how much the next peek asks for
  std::uint32_t ts_offset = 0;
  Congestion congestion;
  RoundTrip round_trip;
  Seq timed_at;
  std::uint64_t timed_ns = 0;

  Timer timer;
  std::uint64_t retransmit_due_ns = kNever;
  std::uint64_t idle_due_ns = kNever;

  std::unique_ptr<Quote> quote;  // while the verdict is out
  std::unique_ptr<HeldBytes> held;
  std::unique_ptr<OutOfOrder> out_of_order;
  std::unique_ptr<Scoreboard> scoreboard;

  std::uint64_t opened_ns = 0, last_heard_ns = 0, last_challenge_ns = 0, ack_owed_ns = 0;
  std::uint64_t bytes_out = 0, bytes_in = 0;

  std::uint32_t in_flight() const { return span(snd_una, snd_nxt); }
  bool fin_was_sent() const { return host_ended && snd_max > fin_at; }
  // The right edge that the guest was told: a window is told in units of its scale, rounded up. First bytes have an
  // exact limit, beyond which they are cut.
  Seq told_edge() const { return max(rcv_adv, rcv_nxt) + (peeked ? 0 : (std::size_t{1} << rcv_scale) - 1); }
  std::size_t held_bytes() const { return held ? held->size() : 0; }
  // Everything before this the descriptor has taken, or it was promised to the guest.
  Seq acknowledgeable() const { return rcv_nxt - (held_bytes() - held_acknowledged); }
};

}  // namespace microagent::netstack
