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

std::uint16_t window_field(std::uint32_t window, unsigned scale) {
  return static_cast<std::uint16_t>(std::min<std::uint32_t>(window >> scale, 0xffff));
}

}  // namespace

std::uint32_t TcpFlows::Impl::timestamp(const TcpConnection& c) const {
  return static_cast<std::uint32_t>(env.now_ns / kMillisecondNs) + c.ts_offset;
}

// Of a segment with payload: SACK blocks go with empty ones only.
std::size_t TcpFlows::Impl::header_bytes(const TcpConnection& c) const {
  return sizeof(wire::TcpHeader) + (c.timestamps ? 12 : 0);
}

// The header with its options; returns its size. Acknowledges what may be acknowledged now, and gives the window.
std::size_t TcpFlows::Impl::encode_header(TcpConnection& c, Seq seq, std::uint8_t flags, MutableBytes out) {
  wire::TcpOptions options;
  if (c.timestamps) options.timestamps = wire::TcpTimestamps{timestamp(c), c.ts_recent};
  const bool empty_ack = flags == kTcpAck;
  if (empty_ack && c.sack && c.out_of_order && !c.out_of_order->empty()) {
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
  note_ack_sent(c);
  return sizeof header + option_count;
}

void TcpFlows::Impl::note_ack_sent(TcpConnection& c) {
  c.last_ack_sent = c.acknowledgeable();
  c.owes_ack = c.ack_now = false;
  c.frames_unacknowledged = 0;
}

bool TcpFlows::Impl::send_control(TcpConnection& c, Seq seq, std::uint8_t flags) {
  HeaderBytes header;
  const std::size_t size = encode_header(c, seq, flags, header);
  return env.output.send(addresses_of(c.key), wire::kProtocolTcp, MutableBytes(header).first(size),
                         wire::kTcpChecksumOffset, {});
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
  if (answer) note_ack_sent(c);
  // Lost for want of room, it is sent again by its timer or when the guest repeats itself.
  (void)env.output.send(addresses_of(c.key), wire::kProtocolTcp, MutableBytes(bytes).first(sizeof header + option_count),
                        wire::kTcpChecksumOffset, {});
}

void TcpFlows::Impl::send_reset(const TcpKey& key, Seq seq, Seq ack, std::uint8_t flags) {
  wire::TcpHeader header;
  header.source_port = key.remote.port;
  header.destination_port = key.guest.port;
  header.sequence = seq.value();
  header.acknowledgment = (flags & kTcpAck) != 0 ? ack.value() : 0;
  header.flags = flags;
  HeaderBytes bytes;
  std::memcpy(bytes.data(), &header, sizeof header);
  // Lost for want of room, it is sent again when the guest speaks again.
  (void)env.output.send(addresses_of(key), wire::kProtocolTcp, MutableBytes(bytes).first(sizeof header),
                        wire::kTcpChecksumOffset, {});
}

// `now`: an out-of-order or repeated segment, whose acknowledgement tells the guest something (RFC 5681, 4.2).
void TcpFlows::Impl::owe_ack(TcpConnection& c, bool now) {
  c.owes_ack = true;
  c.ack_now |= now;
  if (c.in_ack_list) return;
  c.in_ack_list = true;
  owed_acks.push_back(token_of(c));
}

void TcpFlows::Impl::send_owed_acks() {
  std::size_t kept = 0;
  for (const std::uint64_t token : owed_acks) {
    TcpConnection* c = find_token(token);
    if (c == nullptr) continue;
    c->in_ack_list = false;
    if (!c->owes_ack || c->state != TcpState::established) continue;
    if (send_control(*c, c->snd_nxt, kTcpAck)) continue;
    // The ring is full; it is owed until the next batch.
    c->owes_ack = c->in_ack_list = true;
    owed_acks[kept++] = token;
  }
  owed_acks.resize(kept);
}

}  // namespace microagent::netstack
