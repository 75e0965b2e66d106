#include "netd/vsock_flows.h"

#include <sys/epoll.h>

#include <algorithm>
#include <array>

#include "base/check.h"
#include "base/clock.h"
#include "base/pieces.h"
#include "wire/agent.h"

namespace microagent::netd {
namespace {

using wire::VsockError;
using wire::VsockOp;

// Where the ports that we dial from begin: above everything that a guest's service would be known by.
constexpr std::uint32_t kFirstHostPort = 1U << 30;

// Portions of data that one connection may send before the next has its turn.
constexpr int kPortionsPerTurn = 4;

std::uint64_t key_of(VsockPorts ports) { return std::uint64_t{ports.guest} << 32 | ports.host; }

VsockKind kind_of(const wire::VsockHeader& header) {
  return header.type == wire::kVsockSeqpacketType ? VsockKind::packets : VsockKind::stream;
}

}  // namespace

// Two rounds of multiply and fold around the key; enough where a collision only costs a longer chain among 4096.
std::size_t VsockFlows::PortsHash::operator()(std::uint64_t ports) const {
  std::uint64_t mixed = (ports ^ key) * 0x9e3779b97f4a7c15ULL;
  mixed ^= mixed >> 32;
  mixed = (mixed + key) * 0xd6e8feb86659fd93ULL;
  return mixed ^ mixed >> 32;
}

VsockFlows::VsockFlows(virtio::VsockDevice& device, std::uint64_t guest_cid, std::uint64_t hash_key,
                       VsockUpcalls& upcalls)
    : device_(device),
      guest_cid_(guest_cid),
      upcalls_(upcalls),
      by_ports_(kMaxConnections, PortsHash{hash_key}),
      next_host_port_(kFirstHostPort) {}

// ---- From the guest ----

std::size_t VsockFlows::receive(std::size_t budget) {
  std::size_t taken = 0;
  virtio::VsockPacket packet;
  while (taken < budget && replies_.size() < kMaxReplies && device_.next(packet)) {
    ++taken;
    on_packet(packet);
    device_.done();
  }
  return taken;
}

void VsockFlows::on_packet(const virtio::VsockPacket& packet) {
  const wire::VsockHeader& header = packet.header;
  if (packet.error == VsockError::wrong_source || packet.error == VsockError::wrong_destination) {
    ++counters_.foreign;
    return;
  }
  const auto op = static_cast<VsockOp>(std::uint16_t{header.op});
  const VsockPorts ports{header.source_port, header.destination_port};
  const auto known = by_ports_.find(key_of(ports));
  if (packet.error != VsockError::none) {
    ++counters_.malformed;
    if (known != by_ports_.end()) return end(known->second, flow::End::guest_reset, Tell::reset);
    return reply(ports, kind_of(header), VsockOp::reset);
  }
  if (known == by_ports_.end()) {
    if (op == VsockOp::request) return on_request(header);
    if (op != VsockOp::reset) reply(ports, kind_of(header), VsockOp::reset);  // never a reset for a reset
    return;
  }
  on_connection_packet(known->second, *find(known->second), packet);
}

void VsockFlows::on_request(const wire::VsockHeader& header) {
  const VsockPorts ports{header.source_port, header.destination_port};
  const Serial serial = ++last_serial_;
  VsockConnection* connection = severed_ ? nullptr
                                         : add(serial, {.flow = kVsockFlowBit | serial,
                                                        .ports = ports,
                                                        .kind = kind_of(header),
                                                        .state = VsockState::awaiting_verdict});
  if (connection == nullptr || !connection->update_credit(header)) {
    if (connection != nullptr) return end(serial, flow::End::guest_reset, Tell::reset);
    return reply(ports, kind_of(header), VsockOp::reset);
  }
  upcalls_.open_vsock(connection->flow(), ports, connection->kind());
}

void VsockFlows::on_connection_packet(Serial serial, VsockConnection& connection, const virtio::VsockPacket& packet) {
  const auto op = static_cast<VsockOp>(std::uint16_t{packet.header.op});
  if (op == VsockOp::reset) {
    if (connection.state() == VsockState::awaiting_response) return end(serial, flow::End::refused, Tell::nothing);
    return end(serial, connection.told_host_gone() ? flow::End::finished : flow::End::guest_reset, Tell::nothing);
  }
  if (kind_of(packet.header) != connection.kind() || !connection.update_credit(packet.header)) {
    ++counters_.against_rules;
    return end(serial, flow::End::guest_reset, Tell::reset);
  }
  if (connection.state() == VsockState::established) return on_established_packet(serial, connection, packet);
  if (connection.state() == VsockState::awaiting_response && op == VsockOp::response) {
    if (!upcalls_.watch_vsock(connection.fd(), serial)) return end(serial, flow::End::no_resources, Tell::reset);
    connection.establish();
    return queue(serial, connection);
  }
  // Before there is a stream, nothing else is in order; a guest that gave up waiting says so by a shutdown.
  if (op != VsockOp::shutdown) ++counters_.against_rules;
  end(serial, flow::End::guest_reset, Tell::reset);
}

void VsockFlows::on_established_packet(Serial serial, VsockConnection& connection, const virtio::VsockPacket& packet) {
  switch (static_cast<VsockOp>(std::uint16_t{packet.header.op})) {
    case VsockOp::rw: return on_taken(serial, connection, connection.take_data(packet.data, packet.header));
    case VsockOp::shutdown: return on_taken(serial, connection, connection.take_shutdown(packet.header.flags));
    case VsockOp::credit_update: return queue(serial, connection);
    case VsockOp::credit_request: connection.owe(VsockConnection::credit_update); return queue(serial, connection);
    default:  // a second request reuses the ports of a live stream; a second response answers nothing
      return on_taken(serial, connection, VsockConnection::Taken::against_rules);
  }
}

// What follows after bytes, or their end, went towards the host.
void VsockFlows::on_taken(Serial serial, VsockConnection& connection, VsockConnection::Taken taken) {
  switch (taken) {
    case VsockConnection::Taken::against_rules:
      ++counters_.against_rules;
      return end(serial, flow::End::guest_reset, Tell::reset);
    case VsockConnection::Taken::host_failed: return end(serial, flow::End::host_reset, Tell::reset);
    case VsockConnection::Taken::ok: break;
  }
  if (connection.finished()) {
    return end(serial, flow::End::finished, connection.guest_closed() ? Tell::reset : Tell::shutdown);
  }
  queue(serial, connection);
}

// ---- From whoever decides ----

void VsockFlows::on_splice(flow::FlowId flow, Fd fd) {
  const auto serial = find_flow(flow);
  VsockConnection* connection = serial ? find(*serial) : nullptr;
  if (connection == nullptr || connection->state() != VsockState::awaiting_verdict) {
    // The guest left while the verdict was on its way; the other side made a descriptor and must hear of its end.
    flow::Closed gone;
    gone.end = flow::End::guest_reset;
    if (connection == nullptr) upcalls_.closed_vsock(flow, gone);
    return;
  }
  const bool suits = connection->set_fd(std::move(fd));
  if (!suits || !upcalls_.watch_vsock(connection->fd(), *serial)) {
    return end(*serial, flow::End::no_resources, Tell::reset);
  }
  connection->establish();
  connection->owe(VsockConnection::response);
  queue(*serial, *connection);
}

void VsockFlows::on_refuse(flow::FlowId flow, bool tell_guest) {
  const auto serial = find_flow(flow);
  if (!serial || find(*serial)->state() != VsockState::awaiting_verdict) return;
  end(*serial, flow::End::refused, tell_guest ? Tell::reset : Tell::nothing);
}

void VsockFlows::dial(flow::FlowId flow, std::uint32_t guest_port, Fd fd) {
  if (severed_) return refuse_dial(flow, flow::End::killed);
  const auto host_port = free_host_port(guest_port);
  const Serial serial = ++last_serial_;
  VsockConnection* connection = host_port ? add(serial, {.flow = flow,
                                                         .ports = {guest_port, *host_port},
                                                         .kind = VsockKind::stream,
                                                         .state = VsockState::awaiting_response})
                                          : nullptr;
  if (connection == nullptr || !connection->set_fd(std::move(fd))) return refuse_dial(flow, flow::End::no_resources);
  connection->owe(VsockConnection::request);
  deadlines_.push_back(Deadline{monotonic_ns() + kDialTimeoutNs, serial});
  queue(serial, *connection);
}

void VsockFlows::refuse_dial(flow::FlowId flow, flow::End how) {
  flow::Closed closed;
  closed.end = how;
  upcalls_.closed_vsock(flow, closed);
}

std::optional<std::uint32_t> VsockFlows::free_host_port(std::uint32_t guest_port) {
  for (std::size_t tries = 0; tries <= kMaxConnections; ++tries) {
    const std::uint32_t port = next_host_port_;
    next_host_port_ = port == 0xfffffffe ? kFirstHostPort : port + 1;
    if (!by_ports_.contains(key_of({guest_port, port}))) return port;
  }
  return std::nullopt;
}

bool VsockFlows::kill(flow::FlowId flow) {
  const auto serial = find_flow(flow);
  if (serial) end(*serial, flow::End::killed, Tell::reset);
  return serial.has_value();
}

void VsockFlows::sever() {
  severed_ = true;
  while (!connections_.empty()) end(connections_.begin()->first, flow::End::killed, Tell::reset);
}

void VsockFlows::reset() {
  while (!connections_.empty()) end(connections_.begin()->first, flow::End::guest_reset, Tell::nothing);
  replies_.clear();
  blocked_ = false;
}

// ---- Events ----

void VsockFlows::on_descriptor(std::uint64_t token, std::uint32_t epoll_events) {
  VsockConnection* connection = find(token);
  if (connection == nullptr) return;
  const bool ending = (epoll_events & (EPOLLRDHUP | EPOLLHUP | EPOLLERR)) != 0;
  if (ending || (epoll_events & EPOLLIN) != 0) connection->on_readable(ending);
  if ((epoll_events & EPOLLHUP) != 0) connection->on_hang_up();
  const bool writable = (epoll_events & (EPOLLOUT | EPOLLERR)) != 0;
  on_taken(token, *connection, writable ? connection->drain() : VsockConnection::Taken::ok);
}

void VsockFlows::on_time(std::uint64_t now_ns) {
  while (!deadlines_.empty() && deadlines_.front().at_ns <= now_ns) {
    const Serial serial = deadlines_.front().serial;
    deadlines_.pop_front();
    const VsockConnection* connection = find(serial);
    if (connection == nullptr || connection->state() != VsockState::awaiting_response) continue;
    end(serial, flow::End::timed_out, Tell::reset);
  }
}

std::optional<std::uint64_t> VsockFlows::next_deadline() const {
  if (deadlines_.empty()) return std::nullopt;
  return deadlines_.front().at_ns;
}

// ---- The table ----

VsockConnection* VsockFlows::add(Serial serial, VsockConnection::Setup setup) {
  if (connections_.size() == kMaxConnections) {
    ++counters_.refused_full;
    return nullptr;
  }
  setup.buffer_size = large_buffers_ < kMaxLargeBuffers ? kVsockBuffer : kVsockSmallBuffer;
  if (setup.buffer_size == kVsockBuffer) ++large_buffers_;
  by_ports_.emplace(key_of(setup.ports), serial);
  return &connections_.try_emplace(serial, setup, monotonic_ns()).first->second;
}

VsockConnection* VsockFlows::find(Serial serial) {
  const auto found = connections_.find(serial);
  return found == connections_.end() ? nullptr : &found->second;
}

std::optional<VsockFlows::Serial> VsockFlows::find_flow(flow::FlowId flow) const {
  if ((flow & flow::kDialledBit) == 0) {
    const Serial serial = flow & ~kVsockFlowBit;
    return connections_.contains(serial) ? std::optional(serial) : std::nullopt;
  }
  const auto found = std::ranges::find(connections_, flow, [](const auto& entry) { return entry.second.flow(); });
  return found == connections_.end() ? std::nullopt : std::optional(found->first);
}

void VsockFlows::end(Serial serial, flow::End how, Tell tell) {
  const auto found = connections_.find(serial);
  MICROAGENT_CHECK(found != connections_.end());
  auto node = connections_.extract(found);
  VsockConnection& connection = node.mapped();
  by_ports_.erase(key_of(connection.ports()));
  if (connection.buffer_size() == kVsockBuffer) --large_buffers_;
  if (connection.state() == VsockState::established) upcalls_.forget(connection.fd());
  if (tell == Tell::reset) reply(connection.ports(), connection.kind(), VsockOp::reset);
  if (tell == Tell::shutdown) {
    reply(connection.ports(), connection.kind(), VsockOp::shutdown, wire::kVsockShutdownBoth);
  }
  if (connection.fd() >= 0) upcalls_.closed_vsock(connection.flow(), connection.totals(how, monotonic_ns()));
}

// ---- To the guest ----

void VsockFlows::queue(Serial serial, VsockConnection& connection) {
  const bool something = connection.owed() != 0 || connection.wants_to_read();
  if (!something || std::exchange(connection.queued, true)) return;
  ready_.push_back(serial);
}

void VsockFlows::reply(VsockPorts ports, VsockKind kind, VsockOp op, std::uint32_t flags) {
  const VsockConnection::Setup nobody{.flow = 0, .ports = ports, .kind = kind, .state = {}};
  wire::VsockHeader header = VsockConnection(nobody, 0).header(guest_cid_, op);
  header.flags = flags;
  replies_.push_back(header);
}

void VsockFlows::pump() {
  blocked_ = !send_replies();
  // Ends: a connection comes back only after using buffers of the guest, which sees none of them before we return.
  while (!blocked_ && !ready_.empty()) {
    const Serial serial = ready_.front();
    ready_.pop_front();
    VsockConnection* connection = find(serial);
    if (connection == nullptr) continue;
    connection->queued = false;
    const Turn turn = send_owed(*connection) ? send_data(*connection) : Turn::no_room;
    if (turn == Turn::no_room) {
      blocked_ = true;
      connection->queued = true;
      ready_.push_front(serial);
    } else if (turn == Turn::host_failed) {
      end(serial, flow::End::host_reset, Tell::reset);
    } else if (connection->finished()) {
      end(serial, flow::End::finished, connection->guest_closed() ? Tell::reset : Tell::shutdown);
    } else if (turn == Turn::more) {
      queue(serial, *connection);
    }
  }
  if (!blocked_) blocked_ = !send_replies();
}

bool VsockFlows::send_replies() {
  while (!replies_.empty()) {
    if (device_.reserve(0).empty()) return false;
    device_.commit(replies_.front());
    replies_.pop_front();
  }
  return true;
}

bool VsockFlows::send_owed(VsockConnection& connection) {
  constexpr std::array kOrder{
      std::pair{VsockConnection::request, VsockOp::request},
      std::pair{VsockConnection::response, VsockOp::response},
      std::pair{VsockConnection::credit_update, VsockOp::credit_update},
      std::pair{VsockConnection::credit_request, VsockOp::credit_request},
      std::pair{VsockConnection::shutdown, VsockOp::shutdown},
  };
  for (const auto& [owed, op] : kOrder) {
    if ((connection.owed() & owed) == 0) continue;
    if (device_.reserve(0).empty()) return false;
    wire::VsockHeader header = connection.header(guest_cid_, op);
    if (op == VsockOp::shutdown) header.flags = connection.shutdown_flags();
    device_.commit(header);
    connection.settle(owed);
  }
  return true;
}

VsockFlows::Turn VsockFlows::send_data(VsockConnection& connection) {
  for (int portions = 0; portions < kPortionsPerTurn; ++portions) {
    if (!connection.wants_to_read()) return Turn::done;
    if (const auto over = send_portion(connection)) return *over;
  }
  return Turn::more;
}

// One read of the host's socket, as packets to the guest; how the turn ends, if it does.
std::optional<VsockFlows::Turn> VsockFlows::send_portion(VsockConnection& connection) {
  using Read = VsockConnection::Read;
  std::size_t bytes = 0;
  Read read = connection.prepare(bytes);
  if (read == Read::data) {
    const auto room = device_.reserve(bytes);
    if (room.empty()) return Turn::no_room;
    if (connection.kind() == VsockKind::packets && total_bytes(room) < bytes) {
      // A message that takes more buffers than there ever are at once can never go.
      const bool never = device_.reserved_all_it_may();
      device_.abandon();
      return never ? Turn::host_failed : Turn::no_room;
    }
    read = connection.read(room, bytes);
    if (read != Read::data) device_.abandon();
  }
  switch (read) {
    case Read::data:
      device_.commit(connection.header(guest_cid_, VsockOp::rw), bytes, connection.data_flags());
      return std::nullopt;
    case Read::failed: return Turn::host_failed;
    case Read::no_credit: connection.ask_for_credit(); break;
    case Read::nothing:
    case Read::ended: break;
  }
  return send_owed(connection) ? Turn::done : Turn::no_room;
}

}  // namespace microagent::netd
