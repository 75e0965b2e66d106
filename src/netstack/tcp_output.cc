// Segments to the guest: headers, acknowledgements, resets.

#include <algorithm>
#include <cstring>

#include "base/check.h"
#include "netstack/tcp_impl.h"
#include "wire/ip.h"

namespace microagent::netstack {

using wire::kTcpAck;
using wire::kTcpRst;
using wire::kTcpSyn;

namespace {

using HeaderBytes = std::array<std::uint8_t, Output::kMaxTransportHeader>;

Output::Addresses addresses_of(const TcpKey& key) { return {key.remote.address, key.guest.address}; }

// Rounded up: what has been told once is never taken back by the rounding of a later acknowledgement.
std::uint16_t window_field(std::uint32_t window, unsigned scale) {
  const std::uint32_t units = (window + (1U << scale) - 1) >> scale;
  return static_cast<std::uint16_t>(std::min<std::uint32_t>(units, 0xffff));
}

}  // namespace

std::uint32_t TcpFlows::Impl::timestamp(const TcpConnection& c) const {
  return static_cast<std::uint32_t>(env.now_ns / kMillisecondNs) + c.ts_offset;
}

// Of a segment with payload: SACK blocks go with empty ones only.
std::size_t TcpFlows::Impl::header_bytes(const TcpConnection& c) const {
  return sizeof(wire::TcpHeader) + (c.timestamps ? 12 : 0);
}

// The header with its options; returns its size. Acknowledges what may be acknowledged now, and gives the window:
// note_ack_sent() follows when it goes out.
std::size_t TcpFlows::Impl::encode_header(TcpConnection& c, Seq seq, std::uint8_t flags, Payload payload,
                                          MutableBytes out) {
  wire::TcpOptions options;
  if (c.timestamps) options.timestamps = wire::TcpTimestamps{timestamp(c), c.ts_recent};
  const bool reports = payload == Payload::none && flags == kTcpAck;
  if (reports && c.sack && c.out_of_order && !c.out_of_order->empty()) {
    std::array<OutOfOrder::Range, wire::kMaxSackBlocks> ranges;
    const std::size_t most = c.timestamps ? 3 : wire::kMaxSackBlocks;
    options.sack_count = static_cast<std::uint8_t>(c.out_of_order->report(std::span(ranges).first(most)));
    for (std::size_t i = 0; i < options.sack_count; ++i) {
      options.sack[i] = {ranges[i].left.value(), ranges[i].right.value()};
    }
  }
  std::array<std::uint8_t, wire::kMaxTcpOptions> option_bytes;
  const std::size_t option_count = wire::encode_tcp_options(options, option_bytes);

  wire::TcpHeader header;
  header.source_port = c.key.remote.port;
  header.destination_port = c.key.guest.port;
  header.sequence = seq.value();
  header.acknowledgment = c.acknowledgeable().value();
  header.data_offset = static_cast<std::uint8_t>((sizeof header + option_count) / 4 << 4);
  header.flags = flags;
  header.window = window_field(window_of(c), c.rcv_scale);
  std::memcpy(out.data(), &header, sizeof header);
  std::memcpy(out.data() + sizeof header, option_bytes.data(), option_count);
  return sizeof header + option_count;
}

void TcpFlows::Impl::note_ack_sent(TcpConnection& c, bool empty) {
  c.last_ack_sent = c.acknowledgeable();
  c.owes_empty_ack &= !empty;
  c.owes_ack = c.owes_empty_ack;
}

bool TcpFlows::Impl::send_control(TcpConnection& c, Seq seq, std::uint8_t flags) {
  HeaderBytes header;
  const std::size_t size = encode_header(c, seq, flags, Payload::none, header);
  const bool sent = env.output.send(addresses_of(c.key), wire::kProtocolTcp, MutableBytes(header).first(size),
                                    wire::kTcpChecksumOffset, {});
  if (sent) note_ack_sent(c, flags == kTcpAck);
  return sent;
}

// SYN or SYN|ACK, at iss, with our options (those that the guest has offered, in an answer).
void TcpFlows::Impl::send_syn(TcpConnection& c, std::uint8_t flags) {
  const bool answer = (flags & kTcpAck) != 0;
  wire::TcpOptions options;
  options.mss = static_cast<std::uint16_t>(env.output.mtu_payload(c.key.guest.address) - sizeof(wire::TcpHeader));
  if (!answer || c.rcv_scale != 0) options.window_scale = kReceiveScale;
  options.sack_permitted = !answer || c.sack;
  if (!answer || c.timestamps) options.timestamps = wire::TcpTimestamps{timestamp(c), answer ? c.ts_recent : 0};
  std::array<std::uint8_t, wire::kMaxTcpOptions> option_bytes;
  const std::size_t option_count = wire::encode_tcp_options(options, option_bytes);

  wire::TcpHeader header;
  header.source_port = c.key.remote.port;
  header.destination_port = c.key.guest.port;
  header.sequence = c.iss.value();
  header.acknowledgment = answer ? c.rcv_nxt.value() : 0;
  header.data_offset = static_cast<std::uint8_t>((sizeof header + option_count) / 4 << 4);
  header.flags = flags;
  // The window of a SYN is never scaled (RFC 7323, 2.2).
  header.window = static_cast<std::uint16_t>(std::min<std::uint32_t>(answer ? window_of(c) : kFirstWindow, 0xffff));
  HeaderBytes bytes;
  std::memcpy(bytes.data(), &header, sizeof header);
  std::memcpy(bytes.data() + sizeof header, option_bytes.data(), option_count);
  const bool sent =
      env.output.send(addresses_of(c.key), wire::kProtocolTcp, MutableBytes(bytes).first(sizeof header + option_count),
                      wire::kTcpChecksumOffset, {});
  if (!sent) await_room(c);
}

void TcpFlows::Impl::send_reset(const TcpKey& key, Seq seq, Seq ack, std::uint8_t flags) {
  const Reset reset{key, seq, ack, flags};
  // A guest that only listens would wait for ever for one that is lost.
  if (!try_reset(reset) && owed_resets.size() < env.config.max_flows) owed_resets.push_back(reset);
}

bool TcpFlows::Impl::try_reset(const Reset& reset) {
  wire::TcpHeader header;
  header.source_port = reset.key.remote.port;
  header.destination_port = reset.key.guest.port;
  header.sequence = reset.seq.value();
  header.acknowledgment = (reset.flags & kTcpAck) != 0 ? reset.ack.value() : 0;
  header.flags = reset.flags;
  HeaderBytes bytes;
  std::memcpy(bytes.data(), &header, sizeof header);
  return env.output.send(addresses_of(reset.key), wire::kProtocolTcp, MutableBytes(bytes).first(sizeof header),
                         wire::kTcpChecksumOffset, {});
}

void TcpFlows::Impl::send_owed_resets() {
  while (!owed_resets.empty() && try_reset(owed_resets.front())) owed_resets.pop_front();
}

void TcpFlows::Impl::owe_ack(TcpConnection& c, bool empty) {
  c.owes_ack = true;
  c.owes_empty_ack |= empty;
  if (c.in_ack_list) return;
  c.in_ack_list = true;
  c.ack_owed_ns = env.now_ns;
  forget_dead(owed_acks);
  owed_acks.push_back(token_of(c));
}

// Little that the guest has said, or its end, is often answered at once, and the answer acknowledges it. (RFC 9293,
// 3.8.6.3, lets an acknowledgement wait for 500 ms, and for less than two segments.)
bool TcpFlows::Impl::may_put_off_ack(const TcpConnection& c) const {
  constexpr std::uint64_t kPatience = kMillisecondNs;
  return !c.owes_empty_ack && span(c.last_ack_sent, c.acknowledgeable()) < c.mss &&
         env.now_ns - c.ack_owed_ns < kPatience;
}

void TcpFlows::Impl::send_owed_acks(Round round) {
  bool room = true;  // in the ring; where there is none, the rest is owed until the next batch
  std::erase_if(owed_acks, [&](std::uint64_t token) {
    TcpConnection* c = find_token(token);
    if (c == nullptr) return true;
    const bool may_speak = c->state == TcpState::established || c->state == TcpState::syn_received;
    if (c->owes_ack && may_speak) {
      if (round == Round::goes_on && may_put_off_ack(*c)) return false;
      room = room && send_control(*c, c->snd_nxt, kTcpAck);
      if (!room) return false;
    }
    c->in_ack_list = false;
    return true;
  });
}

}  // namespace microagent::netstack
