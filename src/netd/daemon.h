#pragma once

#include <array>
#include <cstdint>
#include <memory>
#include <optional>

#include "netd/busy_poll.h"
#include "netd/net_port.h"
#include "netd/net_wire.h"
#include "netd/peers.h"
#include "netd/poller.h"
#include "netd/tap_port.h"
#include "netd/vsock_port.h"
#include "netstack/budget.h"
#include "netstack/stack.h"

namespace microagent::netd {

// What must be found out before the sandbox closes.
struct Facts {
  std::array<std::uint8_t, 16> stack_key{};
  std::uint64_t vsock_key = 0;
  bool sockets_peek_at_offset = false;
};

// The loop: joins the guest's two devices, the stack, the vsock flows and the two peers.
//
// A turn waits for events, hands them out, then runs one batch: frames and packets out of the rings, the stack's and
// the flows' answers into them, one interrupt a queue. Where that pays (busy_poll.h) the next turn looks again instead
// of waiting, and meanwhile the guest need not notify; an idle netd always sleeps.
class Daemon final : public netstack::Upcalls, public VsockUpcalls {
 public:
  Daemon(Poller poller, Fd supervisor, Fd mediator, const Facts& facts);
  ~Daemon() override;

  // Says ready and serves until one of the peers hangs up, which is success, or breaks the protocol.
  Status run();

 private:
  // netstack::Upcalls
  void open(flow::FlowId flow, netstack::Protocol protocol, const netstack::Endpoint& guest,
            const netstack::Endpoint& destination) override;
  void first_bytes(flow::FlowId flow, std::span<const iovec> pieces, bool ended) override;
  void closed(flow::FlowId flow, const netstack::FlowTotals& totals) override;
  bool watch(int fd, std::uint64_t token, netstack::Interest interest) override;
  // VsockUpcalls
  void open_vsock(flow::FlowId flow, VsockPorts ports, VsockKind kind) override;
  void closed_vsock(flow::FlowId flow, const flow::Closed& totals) override;
  bool watch_vsock(int fd, std::uint64_t token) override;
  // both
  void forget(int fd) override { poller_.forget(fd); }

  // A turn of the loop.
  Status handle(const Event& event);
  void on_net_kick(std::uint64_t queue);
  Status await_peers();
  Status run_batch();
  bool has_work();
  bool may_sleep();
  std::span<const Event> next_events();
  void note_work(std::span<const Event> events);
  void flush(virtio::Show what);
  void run_timers(std::uint64_t now_ns);
  void tell_numbers();
  std::optional<std::uint64_t> next_deadline() const;

  // Messages (daemon_messages.cc).
  Status on_peer(Peer peer);
  Status on_message(Peer peer, flow::Message& message);
  Status on_configure(const flow::Configure& configure);
  Status on_attach(flow::Device device, Fd socket);
  Status on_limits(const flow::Limits& limits);
  Status on_verdict(flow::FlowId flow, const flow::Verdict& verdict, Fd fd);
  Status on_dial(Peer peer, flow::FlowId number, const flow::Dial& dial, Fd fd, ByteView first);
  void on_kill(Peer peer, flow::FlowId number);
  void sever();

  // Devices (daemon_devices.cc).
  Status attach_tap(Fd tap);
  Status on_net_session();
  Status on_vsock_session();
  void drop_net();
  void drop_vsock();
  Status tell_device_failed(flow::Device device, const Error& error);
  void report_faults();

  Poller poller_;
  Peers peers_;
  Facts facts_;
  NetWire wire_;
  netstack::Budgets budgets_;
  std::optional<flow::Configure> configured_;
  std::unique_ptr<netstack::Stack> stack_;
  std::unique_ptr<NetPort> net_;  // at most one of these two
  std::unique_ptr<TapPort> tap_;
  std::unique_ptr<VsockPort> vsock_;
  std::uint64_t now_ns_ = 0;
  BusyPoll busy_poll_;
  bool more_ = false;                       // the last batch ended at its budget
  std::array<bool, 2> watches_for_room_{};  // by peer: whether its reads wake us
  bool awaiting_room_ = false;              // the stack waits for receive buffers of the guest
  bool severed_ = false;
  bool ended_ = false;
};

}  // namespace microagent::netd
