// DatagramFlows: verdicts, and what the guest sends. The other direction is in datagram_receive.cc.

#include "netstack/datagram_flows.h"

#include <sys/epoll.h>

#include <algorithm>
#include <cerrno>

#include "base/pieces.h"

namespace microagent::netstack {
namespace {

// What most guests send with, and what the kernel sends with: there is nothing to tell the socket.
constexpr std::uint8_t kUsualHopLimit = 64;

// The gateway is a hop. 0: the kernel's own choice.
std::uint8_t hop_limit_for(std::uint8_t guests) {
  return guests == kUsualHopLimit || guests == 0 ? std::uint8_t{0} : static_cast<std::uint8_t>(guests - 1);
}

// Every path carries this much (RFC 791, RFC 8200, less the longest headers), so whether it may be cut does not matter.
constexpr std::size_t kAlwaysFits = 508;

}  // namespace

DatagramFlows::DatagramFlows(Environment& environment, const Shape& shape)
    : environment_(environment),
      table_(environment, shape.kind, std::max<std::size_t>(shape.limit, 1)),
      shape_(shape) {}

// ---- Verdicts ----

void DatagramFlows::open(const DatagramKey& key, const Quote& quote, const HostDatagram& datagram) {
  if (!make_room_for_one()) {
    (void)environment_.icmp_errors.send(quote, Refusal::host_unreachable);
    return;
  }
  DatagramFlow& flow = table_.add(key, DatagramState::awaiting_verdict, patience_of(key));
  flow.quote = quote;
  keep(flow, datagram);
  environment_.upcalls.open(flow.flow, shape_.protocol, key.guest, key.remote);
}

// The flow that was idle for the longest time gives way. False when every flow there is belongs to another table.
bool DatagramFlows::make_room_for_one() {
  if (!table_.full()) return true;
  DatagramFlow* oldest = table_.oldest();
  if (oldest == nullptr) return false;
  end(*oldest, End::no_resources);
  return true;
}

void DatagramFlows::on_splice(FlowId number, Fd fd) {
  DatagramFlow* flow = table_.find_flow(number);
  auto socket = HostSocket::adopt(std::move(fd));
  const bool wanted = flow != nullptr && flow->state == DatagramState::awaiting_verdict;
  if (!wanted || !socket) {
    // Who spliced hears of the end of every splice, also of one that came too late.
    environment_.upcalls.closed(number, FlowTotals{.end = End::no_resources});
    if (wanted) on_refuse(number, Refusal::host_unreachable);
    return;
  }
  if (!start_moving(*flow, std::move(*socket))) return;
  const auto pending = std::move(flow->pending);
  if (!pending) return;
  pending_bytes_ -= pending->bytes;
  for (PendingDatagrams::One& one : pending->all) {
    const iovec piece{one.payload.data(), one.payload.size()};
    one.datagram.payload = {&piece, one.payload.empty() ? 0U : 1U};
    queue_for_host(*flow, one.datagram);
    send_batch();  // the payload lives no longer than this
    if (table_.find_flow(number) == nullptr) return;
  }
}

// From now on the flow has its socket. False when it could not be watched: then it has ended.
bool DatagramFlows::start_moving(DatagramFlow& flow, HostSocket socket) {
  flow.state = DatagramState::live;
  flow.socket = std::move(socket);
  if (environment_.upcalls.watch(flow.socket.fd(), flow.token)) return true;
  flow.socket = HostSocket();
  end(flow, End::no_resources);
  return false;
}

void DatagramFlows::on_refuse(FlowId number, std::optional<Refusal> refusal) {
  DatagramFlow* flow = table_.find_flow(number);
  if (flow == nullptr || flow->state != DatagramState::awaiting_verdict) return;
  flow->state = DatagramState::refused;
  flow->refusal = refusal;
  forget_pending(*flow);
  table_.set_patience(*flow, Patience::moment);
  if (refusal) (void)environment_.icmp_errors.send(flow->quote, *refusal);
}

bool DatagramFlows::kill(FlowId number) {
  DatagramFlow* flow = table_.find_flow(number);
  if (flow == nullptr) return false;
  end(*flow, End::killed);
  return true;
}

void DatagramFlows::kill_all() {
  while (DatagramFlow* flow = table_.oldest()) end(*flow, End::killed);
}

void DatagramFlows::end(DatagramFlow& flow, End how) {
  if (batch_.token == flow.token) batch_.count = batch_.piece_count = 0;
  if (flow.socket.fd() >= 0) environment_.upcalls.forget(flow.socket.fd());
  forget_pending(flow);
  const bool told = flow.state == DatagramState::live;
  const FlowId number = flow.flow;
  const FlowTotals totals{.bytes_out = flow.bytes_out,
                          .bytes_in = flow.bytes_in,
                          .duration_us = (environment_.now_ns - flow.started_ns) / 1000,
                          .end = how};
  table_.remove(flow);
  if (told) environment_.upcalls.closed(number, totals);
}

void DatagramFlows::on_time() {
  while (DatagramFlow* flow = table_.expired()) end(*flow, End::timed_out);
}

// ---- From the guest ----

void DatagramFlows::take_datagram(const DatagramKey& key, const Packet& packet, const Quote& quote,
                                  const HostDatagram& datagram) {
  DatagramFlow* flow = table_.find(key);
  if (flow == nullptr) return open(key, quote, datagram);
  flow->quote = quote;
  switch (flow->state) {
    case DatagramState::free: return;
    case DatagramState::awaiting_verdict: return keep(*flow, datagram);
    case DatagramState::refused:
      if (flow->refusal) (void)environment_.icmp_errors.send(quote, *flow->refusal);
      return;
    case DatagramState::live: break;
  }
  if (!flow->answered && flow->dialled) forget_pending(*flow);
  flow->answered = true;
  table_.touch(*flow);
  queue_for_host(*flow, datagram);
  if (packet.short_lived) send_batch();
}

void DatagramFlows::keep(DatagramFlow& flow, const HostDatagram& datagram) {
  if (!flow.pending) flow.pending = std::make_unique<PendingDatagrams>();
  PendingDatagrams& pending = *flow.pending;
  if (pending.all.size() == kMaxPendingDatagrams || pending.bytes + datagram.payload_bytes > kMaxPendingBytes ||
      pending_bytes_ + datagram.payload_bytes > kMaxPendingTotal) {
    ++environment_.counters.dropped;
    return;
  }
  PendingDatagrams::One& one = pending.all.emplace_back();
  one.datagram = datagram;
  one.datagram.payload = {};
  one.payload.resize(datagram.payload_bytes);
  copy_front(datagram.payload, one.payload);
  pending.bytes += datagram.payload_bytes;
  pending_bytes_ += datagram.payload_bytes;
}

void DatagramFlows::forget_pending(DatagramFlow& flow) {
  if (flow.pending) pending_bytes_ -= flow.pending->bytes;
  flow.pending.reset();
  flow.first_unsent = false;
}

void DatagramFlows::queue_for_host(DatagramFlow& flow, const HostDatagram& datagram) {
  // A message of no bytes would say that this is the end.
  if (datagram.head_bytes + datagram.payload_bytes == 0 && flow.socket.has_end()) return;
  const std::uint8_t hop_limit = hop_limit_for(datagram.hop_limit);
  const bool may_matter = datagram.payload_bytes > kAlwaysFits;
  const bool new_rule = may_matter && datagram.dont_fragment != flow.socket.dont_fragment();
  if (datagram.payload.size() >= Batch::kMaxPieces) {
    ++environment_.counters.dropped;
    return;
  }
  const bool full =
      batch_.count == Batch::kMaxMessages || batch_.piece_count + datagram.payload.size() + 1 > Batch::kMaxPieces;
  const std::uint64_t token = flow.token;
  if (batch_.token != token || full || new_rule || hop_limit != flow.socket.hop_limit()) {
    send_batch();
    if (table_.find_token(token) == nullptr) return;  // its socket has failed
  }
  if (hop_limit != flow.socket.hop_limit()) flow.socket.set_hop_limit(hop_limit);
  if (new_rule) flow.socket.set_dont_fragment(datagram.dont_fragment);
  batch_.token = token;
  add_to_batch(datagram);
}

void DatagramFlows::add_to_batch(const HostDatagram& datagram) {
  iovec* const first = batch_.pieces.data() + batch_.piece_count;
  if (datagram.head_bytes > 0) {
    batch_.heads[batch_.count] = datagram.head;
    batch_.pieces[batch_.piece_count++] = iovec{batch_.heads[batch_.count].data(), datagram.head_bytes};
  }
  for (const iovec& piece : datagram.payload) batch_.pieces[batch_.piece_count++] = piece;
  mmsghdr& message = batch_.messages[batch_.count];
  message = {};
  message.msg_hdr.msg_iov = first;
  message.msg_hdr.msg_iovlen = static_cast<std::size_t>(batch_.pieces.data() + batch_.piece_count - first);
  batch_.payload_bytes[batch_.count++] = datagram.payload_bytes;
}

void DatagramFlows::send_batch() {
  const std::size_t count = std::exchange(batch_.count, 0);
  batch_.piece_count = 0;
  DatagramFlow* flow = count == 0 ? nullptr : table_.find_token(batch_.token);
  if (flow == nullptr) return;
  bool tried_again = false;
  for (std::size_t at = 0; at < count;) {
    const int sent = ::sendmmsg(flow->socket.fd(), &batch_.messages[at], static_cast<unsigned>(count - at),
                                MSG_DONTWAIT | MSG_NOSIGNAL);
    if (sent > 0) {
      for (int i = 0; i < sent; ++i) flow->bytes_out += batch_.payload_bytes[at++];
      tried_again = false;
      continue;
    }
    switch (on_send_error(*flow, errno)) {
      case AfterError::again:
        // Once: an error that comes back at once is about this very datagram.
        if (!std::exchange(tried_again, true)) continue;
        [[fallthrough]];
      case AfterError::next:
        tried_again = false;
        ++at;
        ++environment_.counters.dropped;
        continue;
      case AfterError::lost: environment_.counters.dropped += count - at; return;
      case AfterError::ended: return;
    }
  }
}

DatagramFlows::AfterError DatagramFlows::on_send_error(DatagramFlow& flow, int error_number) {
  switch (error_number) {
    case EINTR: return AfterError::again;
    // The socket or the host takes no more at the moment, and datagrams do not wait.
    case EAGAIN:
    case ENOBUFS:
    case ENOMEM: return AfterError::lost;
    default: break;
  }
  if (!flow.socket.is_inet()) {
    end(flow, End::finished);
    return AfterError::ended;
  }
  // What the kernel has queued says more than the number; with it the number is settled, and the datagram may go.
  if (report_errors(flow)) return error_number == EMSGSIZE ? AfterError::next : AfterError::again;
  SocketError error{.error_number = error_number};
  if (error_number == EMSGSIZE) error.mtu = flow.socket.path_mtu();
  tell_guest(flow, error);
  return AfterError::next;
}

void DatagramFlows::send_first(DatagramFlow& flow) {
  flow.first_unsent = false;
  if (!flow.pending || flow.pending->all.empty()) return;
  const std::vector<std::uint8_t>& payload = flow.pending->all.front().payload;
  const GuestHeader header = header_for_guest(flow, {}, payload.size());
  const MutableBytes datagram = environment_.output.scratch().first(header.bytes.size() + payload.size());
  std::ranges::copy(header.bytes, datagram.begin());
  std::ranges::copy(payload, datagram.begin() + static_cast<std::ptrdiff_t>(header.bytes.size()));
  if (environment_.output.send_datagram({flow.key.remote.address, flow.key.guest.address}, header.protocol, datagram,
                                        header.checksum_offset)) {
    return;
  }
  flow.first_unsent = true;
  queue_ready(flow);
}

// ---- Errors ----

bool DatagramFlows::report_errors(DatagramFlow& flow) {
  bool any = false;
  while (const auto error = flow.socket.take_error()) {
    any = true;
    tell_guest(flow, *error);
  }
  return any;
}

void DatagramFlows::tell_guest(const DatagramFlow& flow, const SocketError& error) {
  const Family family = flow.key.guest.address.family;
  const auto told = icmp_error_for(error, family, environment_.config.mtu);
  if (!told) return;
  // A router on the way, or the far end itself; this host's own errors are the gateway's.
  const bool named = error.from && error.from->family == family;
  (void)environment_.icmp_errors.send(quote_for(flow, error), *told, named ? error.from : std::nullopt);
}

}  // namespace microagent::netstack
