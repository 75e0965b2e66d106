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

bool is_about_segments(int error_number) {
  return error_number == EINVAL || error_number == EIO || error_number == EMSGSIZE || error_number == EOPNOTSUPP ||
         error_number == ENOPROTOOPT;
}

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

void DatagramFlows::on_splice(FlowId number, Fd fd, BudgetId budget) {
  DatagramFlow* flow = table_.find_flow(number);
  auto socket = HostSocket::adopt(std::move(fd));
  const bool wanted = flow != nullptr && flow->state == DatagramState::awaiting_verdict;
  if (!wanted || !socket) {
    // Who spliced hears of the end of every splice, also of one that came too late.
    environment_.upcalls.closed(number, FlowTotals{.end = End::no_resources});
    if (wanted) on_refuse(number, Refusal::host_unreachable);
    return;
  }
  flow->budget = budget;
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
  if (environment_.upcalls.watch(flow.socket.fd(), flow.token, Interest::datagrams)) return true;
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
  if (batch_.token == flow.token) {
    environment_.budgets.give_back(flow.budget, Direction::out, batch_.bytes_left());
    batch_.clear();
  }
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
  const std::uint64_t token = flow.token;
  if (batch_.token != token || !batch_.fits(datagram) || new_rule || hop_limit != flow.socket.hop_limit()) {
    send_batch();
    if (table_.find_token(token) == nullptr) return;  // its socket has failed
  }
  if (hop_limit != flow.socket.hop_limit()) flow.socket.set_hop_limit(hop_limit);
  if (new_rule) flow.socket.set_dont_fragment(datagram.dont_fragment);
  batch_.token = token;
  // In more pieces than a message may have: the driver's own doing.
  if (!batch_.fits(datagram)) return void(++environment_.counters.dropped);
  Budgets& budgets = environment_.budgets;
  if (budgets.take_whole(flow.budget, Direction::out, datagram.payload_bytes, environment_.now_ns)) {
    return batch_.add(datagram);
  }
  ++environment_.counters.dropped;
  if (!budgets.spent(flow.budget, datagram.payload_bytes)) return;
  send_batch();
  if (DatagramFlow* left = table_.find_token(token)) end(*left, End::capped);
}

void DatagramFlows::send_batch() {
  DatagramFlow* flow = batch_.empty() ? nullptr : table_.find_token(batch_.token);
  bool tried_again = false;
  while (flow != nullptr && !batch_.empty()) {
    const bool segment = shape_.socket_head_bytes == 0 && flow->socket.may_segment();
    const SendBatch::Outcome outcome = batch_.send(flow->socket.fd(), segment);
    flow->bytes_out += outcome.payload_bytes;
    if (outcome.error_number == 0) {
      tried_again = false;
      continue;
    }
    // What is wrong with many at once may not be wrong with one, and then the error says which.
    if (outcome.segments && is_about_segments(outcome.error_number)) {
      flow->socket.forbid_segments();
      continue;
    }
    switch (on_send_error(*flow, outcome.error_number)) {
      case AfterError::again:
        // Once: an error that comes back at once is about this very datagram.
        if (!std::exchange(tried_again, true)) continue;
        [[fallthrough]];
      case AfterError::next:
        tried_again = false;
        environment_.budgets.give_back(flow->budget, Direction::out, batch_.skip());
        ++environment_.counters.dropped;
        continue;
      case AfterError::lost:
        environment_.counters.dropped += batch_.left();
        environment_.budgets.give_back(flow->budget, Direction::out, batch_.bytes_left());
        break;
      case AfterError::ended: break;
    }
    break;
  }
  batch_.clear();
}

DatagramFlows::AfterError DatagramFlows::on_send_error(DatagramFlow& flow, int error_number) {
  switch (error_number) {
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
