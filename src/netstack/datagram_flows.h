#pragma once

#include <array>
#include <deque>
#include <optional>

#include "netstack/datagram_table.h"
#include "netstack/environment.h"
#include "netstack/icmp_errors.h"
#include "netstack/packet.h"
#include "netstack/send_batch.h"

namespace microagent::netstack {

// Conversations in datagrams between the guest and host descriptors; what UDP and ICMP echo have in common.
//
// A first datagram asks for a verdict and waits, with those that follow it, within bounds. A refusal is told by ICMP
// and remembered for a moment. Once spliced, the guest's datagrams go to the host's socket in batches, straight out of
// guest memory, and the host's straight into it; what the guest has no room for stays in the socket, and what the
// budget does not grant is dropped. Errors that the socket reports become ICMP errors. Flows end by idleness, and the
// oldest when there are too many.
class DatagramFlows {
 public:
  static constexpr std::size_t kMaxPendingDatagrams = 16;
  static constexpr std::size_t kMaxPendingBytes = 64 * 1024;        // of one flow
  static constexpr std::size_t kMaxPendingTotal = 4 * 1024 * 1024;  // of all
  static constexpr std::size_t kMaxPayload = 65'507;                // of an IPv4 packet without options
  static constexpr int kReceivesPerTurn = 32;                       // of one flow, before the next one's turn
  static constexpr int kTurnsPerFlush = 16;                         // before the rest of the loop's

  virtual ~DatagramFlows() = default;
  DatagramFlows(const DatagramFlows&) = delete;
  DatagramFlows& operator=(const DatagramFlows&) = delete;

  void on_splice(FlowId number, Fd fd, BudgetId budget);
  void on_refuse(FlowId number, std::optional<Refusal> refusal);  // nothing: drop
  // False when the flow is none of these.
  bool kill(FlowId number);
  void kill_all();

  void on_descriptor(std::uint64_t token, std::uint32_t epoll_events);
  void on_wire_room() { blocked_ = false; }
  // Flows that their budgets refused bytes try again.
  void on_budget();
  bool holds_frames() const { return !batch_.empty(); }
  void flush();
  void on_time();
  std::optional<std::uint64_t> next_deadline() const;

 protected:
  struct Shape {
    Kind kind{};
    Protocol protocol{};
    std::size_t socket_head_bytes = 0;  // what a received message has in front of its payload
    std::size_t limit = 0;              // of flows
  };
  DatagramFlows(Environment& environment, const Shape& shape);

  // How a datagram to the guest begins. `head` is what the socket gave in front of the payload.
  struct GuestHeader {
    std::array<std::uint8_t, 8> bytes{};
    std::uint8_t protocol = 0;
    std::size_t checksum_offset = 0;
  };
  virtual GuestHeader header_for_guest(const DatagramFlow& flow, ByteView head, std::size_t payload_bytes) const = 0;
  // The guest's datagram that `error` is about.
  virtual Quote quote_for(const DatagramFlow& flow, const SocketError& error) const = 0;
  virtual Patience patience_of(const DatagramKey& key) const = 0;

  // A datagram of the guest that is right in itself.
  void take_datagram(const DatagramKey& key, const Packet& packet, const Quote& quote, const HostDatagram& datagram);
  // Sends the first datagram of a flow that was dialled; without room it is sent when there is some.
  void send_first(DatagramFlow& flow);
  bool start_moving(DatagramFlow& flow, HostSocket socket);
  bool make_room_for_one();
  void end(DatagramFlow& flow, End how);
  void send_batch();
  void keep(DatagramFlow& flow, const HostDatagram& datagram);
  void forget_pending(DatagramFlow& flow);

  Environment& environment_;
  DatagramTable table_;

 private:
  enum class AfterError : std::uint8_t { again, next, lost, ended };
  enum class Turn : std::uint8_t { done, more, no_room, ended };

  void open(const DatagramKey& key, const Quote& quote, const HostDatagram& datagram);
  void queue_for_host(DatagramFlow& flow, const HostDatagram& datagram);
  AfterError on_send_error(DatagramFlow& flow, int error_number);
  bool report_errors(DatagramFlow& flow);
  void tell_guest(const DatagramFlow& flow, const SocketError& error);

  void queue_ready(DatagramFlow& flow);
  void pump();
  Turn receive_some(DatagramFlow& flow);
  Turn receive_one(DatagramFlow& flow);
  bool await_budget(DatagramFlow& flow, std::size_t payload_bytes);
  Turn deliver(DatagramFlow& flow, ByteView head, std::size_t payload_bytes, std::size_t room);

  Shape shape_;
  std::size_t pending_bytes_ = 0;
  std::deque<std::uint64_t> ready_;  // tokens
  std::deque<std::uint64_t> without_budget_;
  bool blocked_ = false;  // the guest has no room
  SendBatch batch_;
  std::array<iovec, 1026> receive_pieces_;
};

}  // namespace microagent::netstack
