// DatagramFlows: from the host to the guest.

#include <sys/epoll.h>

#include <algorithm>
#include <cerrno>
#include <cstring>

#include "base/pieces.h"
#include "netstack/datagram_flows.h"

namespace microagent::netstack {

void DatagramFlows::on_descriptor(std::uint64_t token, std::uint32_t epoll_events) {
  DatagramFlow* flow = table_.find_token(token);
  if (flow == nullptr) return;
  if ((epoll_events & EPOLLERR) != 0) report_errors(*flow);
  if ((epoll_events & (EPOLLIN | EPOLLRDHUP | EPOLLHUP)) != 0) queue_ready(*flow);
}

void DatagramFlows::queue_ready(DatagramFlow& flow) {
  if (std::exchange(flow.ready, true)) return;
  ready_.push_back(flow.token);
}

std::optional<std::uint64_t> DatagramFlows::next_deadline() const {
  if (!blocked_ && !ready_.empty()) return environment_.now_ns;
  return table_.next_deadline();
}

void DatagramFlows::flush() {
  send_batch();
  pump();
}

// Every flow in turn, some datagrams each, until their sockets are empty, the guest has no room, or it was enough for
// now: a flood of datagrams leaves time for others.
void DatagramFlows::pump() {
  for (int turns = 0; turns < kTurnsPerFlush && !blocked_ && !ready_.empty(); ++turns) {
    const std::uint64_t token = ready_.front();
    ready_.pop_front();
    DatagramFlow* flow = table_.find_token(token);
    if (flow == nullptr) continue;
    flow->ready = false;
    switch (receive_some(*flow)) {
      case Turn::done:
      case Turn::ended: break;
      case Turn::more: queue_ready(*flow); break;
      case Turn::no_room:
        blocked_ = true;
        queue_ready(*flow);
        break;
    }
  }
}

DatagramFlows::Turn DatagramFlows::receive_some(DatagramFlow& flow) {
  if (flow.first_unsent) send_first(flow);
  if (flow.first_unsent) return Turn::no_room;
  for (int i = 0; i < kReceivesPerTurn; ++i) {
    const Turn turn = receive_one(flow);
    if (turn != Turn::more) return turn;
  }
  return Turn::more;
}

// Straight into guest memory, as far as one packet goes; the rest of a larger datagram into memory of ours, in its
// place behind the first part, so that the whole can be put together.
DatagramFlows::Turn DatagramFlows::receive_one(DatagramFlow& flow) {
  Output& output = environment_.output;
  const wire::IpAddress &from = flow.key.remote.address, &to = flow.key.guest.address;
  constexpr std::size_t kHeader = sizeof(GuestHeader::bytes);
  const std::size_t room = output.mtu_payload(to) - kHeader;
  const std::uint8_t protocol = header_for_guest(flow, {}, 0).protocol;
  if (!output.begin({from, to}, protocol, kHeader, room)) return Turn::no_room;

  std::array<std::uint8_t, 8> head{};
  std::size_t count = 0;
  if (shape_.socket_head_bytes > 0) receive_pieces_[count++] = iovec{head.data(), shape_.socket_head_bytes};
  for (const iovec& piece : output.payload()) receive_pieces_[count++] = piece;
  const auto rest = output.scratch().first(kHeader + kMaxPayload).subspan(kHeader + room);
  receive_pieces_[count++] = iovec{rest.data(), rest.size()};
  const auto received = flow.socket.receive(std::span(receive_pieces_).first(count));

  const bool at_end = received.error_number == 0 && received.bytes == 0 && flow.socket.has_end();
  const bool runt = received.error_number == 0 && received.bytes < shape_.socket_head_bytes;
  if (received.error_number != 0 || at_end || runt || received.truncated) output.abandon();
  if (received.error_number == EAGAIN) return Turn::done;
  if (received.error_number != 0) {
    // Errors of the network are about datagrams; any other is about the descriptor.
    if (report_errors(flow)) return Turn::more;
    if (flow.socket.is_inet()) return Turn::done;
  }
  if (received.error_number != 0 || at_end) {
    end(flow, received.error_number != 0 ? End::host_reset : End::finished);
    return Turn::ended;
  }
  if (runt || received.truncated) {
    ++environment_.counters.dropped;
    return Turn::more;
  }
  return deliver(flow, head, received.bytes - shape_.socket_head_bytes, room);
}

// One datagram was refused; those behind it stay in the socket. False when there will be no more bytes: then the flow
// has ended.
bool DatagramFlows::await_budget(DatagramFlow& flow, std::size_t payload_bytes) {
  if (environment_.budgets.spent(flow.budget, payload_bytes)) return end(flow, End::capped), false;
  if (std::exchange(flow.awaits_budget, true)) return true;
  // Flows that waited and have gone do not pile up.
  if (without_budget_.size() > 2 * table_.size() + 64) {
    std::erase_if(without_budget_, [this](std::uint64_t token) { return table_.find_token(token) == nullptr; });
  }
  without_budget_.push_back(flow.token);
  return true;
}

void DatagramFlows::on_budget() {
  for (const std::uint64_t token : std::exchange(without_budget_, {})) {
    DatagramFlow* flow = table_.find_token(token);
    if (flow == nullptr) continue;
    flow->awaits_budget = false;
    queue_ready(*flow);
  }
}

// Finishes the packet that was begun, the payload of which has been received.
DatagramFlows::Turn DatagramFlows::deliver(DatagramFlow& flow, ByteView head, std::size_t payload_bytes,
                                           std::size_t room) {
  Output& output = environment_.output;
  if (!environment_.budgets.take_whole(flow.budget, Direction::in, payload_bytes, environment_.now_ns)) {
    output.abandon();
    ++environment_.counters.dropped;
    return await_budget(flow, payload_bytes) ? Turn::done : Turn::ended;
  }
  GuestHeader header = header_for_guest(flow, head, payload_bytes);
  flow.bytes_in += payload_bytes;
  table_.touch(flow);
  if (payload_bytes <= room) {
    output.finish(header.bytes, header.checksum_offset, payload_bytes, {});
    return Turn::more;
  }
  const MutableBytes datagram = output.scratch().first(header.bytes.size() + payload_bytes);
  std::ranges::copy(header.bytes, datagram.begin());
  copy_front(output.payload(), datagram.subspan(header.bytes.size(), room));
  output.abandon();
  if (output.send_datagram({flow.key.remote.address, flow.key.guest.address}, header.protocol, datagram,
                           header.checksum_offset)) {
    return Turn::more;
  }
  ++environment_.counters.dropped;
  return Turn::no_room;
}

}  // namespace microagent::netstack
