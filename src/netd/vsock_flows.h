#pragma once

#include <cstdint>
#include <deque>
#include <optional>
#include <unordered_map>

#include "base/fd.h"
#include "flow/messages.h"
#include "netd/vsock_connection.h"
#include "virtio/vsock_device.h"

namespace microagent::netd {

// Marks the numbers of flows that the guest opens over vsock, so that they never meet netstack's.
inline constexpr flow::FlowId kVsockFlowBit = flow::FlowId{1} << 61;

// What the vsock flows need of the loop and of whoever decides.
class VsockUpcalls {
 public:
  virtual ~VsockUpcalls() = default;
  // The guest wants a stream. Exactly one verdict follows, perhaps before this returns.
  virtual void open_vsock(flow::FlowId flow, VsockPorts ports, VsockKind kind) = 0;
  virtual void closed_vsock(flow::FlowId flow, const flow::Closed& totals) = 0;
  // Edges of EPOLLIN, EPOLLOUT, EPOLLRDHUP come back as on_descriptor(token).
  virtual bool watch_vsock(int fd, std::uint64_t token) = 0;
  virtual void forget(int fd) = 0;
};

// All vsock streams of one guest. Answers what the guest's packets ask, asks for verdicts, moves data.
//
// Everything is bounded: connections by kMaxConnections, bytes held for the host by each one's credit, which is large
// for kMaxLargeBuffers of them and small for the rest (128 MiB when all wait for hosts that do not read), and resets
// that belong to no connection by not reading further packets while kMaxReplies of them wait for a buffer of the guest.
class VsockFlows {
 public:
  static constexpr std::size_t kMaxConnections = 4096;
  static constexpr std::size_t kMaxLargeBuffers = 256;
  static constexpr std::size_t kMaxReplies = 128;
  static constexpr std::uint64_t kDialTimeoutNs = 5'000'000'000;

  // `hash_key` is secret and random: the guest chooses ports.
  VsockFlows(virtio::VsockDevice& device, std::uint64_t guest_cid, std::uint64_t hash_key, VsockUpcalls& upcalls);

  // Handles at most `budget` packets of the guest; returns how many. Stops early, with more there, while too many
  // replies wait; see blocked().
  std::size_t receive(std::size_t budget);
  // Sends what is owed to the guest until nothing is or its buffers run out.
  void pump();
  // The guest has no buffer for what waits: pump() again when it has posted some.
  bool blocked() const { return blocked_; }

  void on_splice(flow::FlowId flow, Fd fd);
  void on_refuse(flow::FlowId flow, bool tell_guest);
  // Opens a stream to a port of the guest.
  void dial(flow::FlowId flow, std::uint32_t guest_port, Fd fd);
  bool kill(flow::FlowId flow);
  void sever();
  // The guest's driver went away: no stream of it exists any more.
  void reset();

  void on_descriptor(std::uint64_t token, std::uint32_t epoll_events);
  void on_time(std::uint64_t now_ns);
  std::optional<std::uint64_t> next_deadline() const;

  std::size_t size() const { return connections_.size(); }
  struct Counters {
    std::uint64_t foreign = 0, malformed = 0, against_rules = 0, refused_full = 0;
  };
  const Counters& counters() const { return counters_; }

 private:
  using Serial = std::uint64_t;  // a connection's number, never used again; also its token
  struct PortsHash {
    std::uint64_t key;
    std::size_t operator()(std::uint64_t ports) const;
  };
  struct Deadline {
    std::uint64_t at_ns;
    Serial serial;
  };
  enum class Tell : std::uint8_t { nothing, reset, shutdown };

  void on_packet(const virtio::VsockPacket& packet);
  void on_request(const wire::VsockHeader& header);
  void on_connection_packet(Serial serial, VsockConnection& connection, const virtio::VsockPacket& packet);
  void on_established_packet(Serial serial, VsockConnection& connection, const virtio::VsockPacket& packet);
  void on_taken(Serial serial, VsockConnection& connection, VsockConnection::Taken taken);
  bool start_moving(Serial serial, VsockConnection& connection, Fd fd);

  VsockConnection* add(Serial serial, VsockConnection::Setup setup);
  void end(Serial serial, flow::End how, Tell tell);
  VsockConnection* find(Serial serial);
  std::optional<Serial> find_flow(flow::FlowId flow) const;
  std::optional<std::uint32_t> free_host_port(std::uint32_t guest_port);
  void refuse_dial(flow::FlowId flow, flow::End how);

  void queue(Serial serial, VsockConnection& connection);
  void reply(VsockPorts ports, VsockKind kind, wire::VsockOp op, std::uint32_t flags = 0);
  bool send_replies();
  bool send_owed(VsockConnection& connection);
  // How a connection's turn of sending went.
  enum class Turn : std::uint8_t { done, more, no_room, host_failed };
  Turn send_data(VsockConnection& connection);
  std::optional<Turn> send_portion(VsockConnection& connection);

  virtio::VsockDevice& device_;
  std::uint64_t guest_cid_;
  VsockUpcalls& upcalls_;
  std::unordered_map<Serial, VsockConnection> connections_;
  std::unordered_map<std::uint64_t, Serial, PortsHash> by_ports_;
  std::deque<Serial> ready_;
  std::deque<wire::VsockHeader> replies_;
  std::deque<Deadline> deadlines_;  // of dials; all wait equally long, so in order
  Serial last_serial_ = 0;
  std::size_t large_buffers_ = 0;
  std::uint32_t next_host_port_;
  bool blocked_ = false;
  bool severed_ = false;
  Counters counters_;
};

}  // namespace microagent::netd
