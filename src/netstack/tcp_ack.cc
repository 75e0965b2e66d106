// When the guest is told what was taken of it: at the end of the batch, or with the host's answer.
//
// An acknowledgement by itself is a frame and an interrupt. Where each question of the guest's gets its answer at once,
// the answer can carry it, so a connection that has been seen to go by turns is given a moment for that (RFC 9293,
// 3.8.6.3). Nobody is ever made to wait for what the guest holds back until it is acknowledged (RFC 896): then two
// segments have come before an answer, and that is no going by turns.

#include <algorithm>

#include "netstack/tcp_impl.h"

namespace microagent::netstack {

using wire::kTcpAck;

namespace {

constexpr std::uint64_t kAtOnceNs = 1'000'000;
constexpr std::uint8_t kTurnsSeen = 2;

}  // namespace

// The guest has said something new.
void TcpFlows::Impl::note_question(TcpConnection& c) {
  if (c.asked_ns != kNever) c.turns = 0;
  c.asked_ns = env.now_ns;
}

// The host has.
void TcpFlows::Impl::note_answer(TcpConnection& c) {
  if (c.asked_ns == kNever) return;
  const bool at_once = env.now_ns - c.asked_ns <= kAtOnceNs;
  c.turns = at_once ? std::min<std::uint8_t>(c.turns + 1, kTurnsSeen) : 0;
  c.asked_ns = kNever;
}

bool TcpFlows::Impl::ack_may_wait(const TcpConnection& c) const {
  const bool by_turns = c.turns == kTurnsSeen && c.asked_ns != kNever;
  const bool plain = !c.owes_empty_ack && !c.guest_ended && c.held_bytes() == 0 && !c.out_of_order;
  return by_turns && plain && span(c.last_ack_sent, c.rcv_nxt) <= c.mss;
}

void TcpFlows::Impl::on_ack_due(TcpConnection& c) {
  c.ack_due_ns = kNever;
  c.turns = 0;
  if (c.owes_ack) owe_ack(c, false);
}

void TcpFlows::Impl::note_ack_sent(TcpConnection& c, bool empty) {
  c.last_ack_sent = c.acknowledgeable();
  c.owes_empty_ack &= !empty;
  c.owes_ack = c.owes_empty_ack;
  c.ack_due_ns = kNever;
}

void TcpFlows::Impl::owe_ack(TcpConnection& c, bool empty) {
  c.owes_ack = true;
  c.owes_empty_ack |= empty;
  if (c.in_ack_list) return;
  c.in_ack_list = true;
  forget_dead(owed_acks);
  owed_acks.push_back(token_of(c));
}

void TcpFlows::Impl::send_owed_acks() {
  std::size_t done = 0;
  for (; done < owed_acks.size(); ++done) {
    TcpConnection* c = find_token(owed_acks[done]);
    if (c == nullptr) continue;
    const bool may_speak = c->state == TcpState::established || c->state == TcpState::syn_received;
    if (c->owes_ack && may_speak && ack_may_wait(*c)) {
      c->ack_due_ns = c->asked_ns + kAtOnceNs;
      set_timer(*c);
    } else if (c->owes_ack && may_speak && !send_control(*c, c->snd_nxt, kTcpAck)) {
      break;  // the ring is full: the rest is owed until the next batch
    }
    c->in_ack_list = false;
  }
  owed_acks.erase(owed_acks.begin(), owed_acks.begin() + static_cast<std::ptrdiff_t>(done));
}

}  // namespace microagent::netstack
