#pragma once

// One vsock stream between the guest and a host descriptor.
//
// A stream, or, when the guest's socket is SOCK_SEQPACKET, messages to and from a descriptor that keeps them apart too.
//
// Guest to host: data goes straight from guest memory into the host's socket; what that does not take waits in the
// backlog, which is as large as the credit we give, so that an honest guest can always be answered with "taken". A
// message's parts wait there until it is whole. The guest's end of sending reaches the host (SHUT_WR) once the backlog
// is empty.
//
// Host to guest: data is read from the host's socket straight into buffers of the guest, never more than the guest's
// credit, so nothing is ever held here: a message waits in the socket until there is room for all of it. The host's
// end of sending is told by a shutdown packet after the last byte.
//
// This class keeps the state and moves the bytes between socket and memory; VsockFlows sends and receives the packets.

#include <cstdint>
#include <optional>
#include <span>

#include "base/fd.h"
#include "flow/messages.h"
#include "netd/backlog.h"
#include "netd/vsock_credit.h"
#include "wire/vsock.h"

namespace microagent::netd {

enum class VsockKind : std::uint8_t { stream, packets };

struct VsockPorts {
  std::uint32_t guest = 0;
  std::uint32_t host = 0;
};

enum class VsockState : std::uint8_t {
  awaiting_verdict,   // the guest asked; no descriptor yet
  awaiting_response,  // we asked the guest; nothing moves yet
  established,
};

class VsockConnection {
 public:
  struct Setup {
    flow::FlowId flow = 0;
    VsockPorts ports;
    VsockKind kind{};
    VsockState state{};
    std::uint32_t buffer_size = kVsockBuffer;  // ours
  };
  VsockConnection(const Setup& setup, std::uint64_t now_ns);

  flow::FlowId flow() const { return flow_; }
  VsockPorts ports() const { return ports_; }
  VsockKind kind() const { return messages_ ? VsockKind::packets : VsockKind::stream; }
  VsockState state() const { return state_; }
  std::uint32_t buffer_size() const { return own_.buffer_size(); }
  int fd() const { return fd_.get(); }
  // False when the descriptor does not keep messages apart, and the guest's socket does.
  [[nodiscard]] bool set_fd(Fd fd);
  void establish() { state_ = VsockState::established; }

  // Packets that this connection must send before any data, in the order of their bits.
  enum Owed : std::uint8_t { request = 1, response = 2, credit_update = 4, credit_request = 8, shutdown = 16 };
  void owe(Owed what) { owed_ |= what; }
  std::uint8_t owed() const { return owed_; }
  void settle(Owed what) { owed_ &= static_cast<std::uint8_t>(~what); }

  // The header of a packet of ours, with the current credit, which counts as told.
  wire::VsockHeader header(std::uint64_t guest_cid, wire::VsockOp op);
  std::uint32_t shutdown_flags() const;

  [[nodiscard]] bool update_credit(const wire::VsockHeader& header);

  enum class Taken : std::uint8_t { ok, against_rules, host_failed };
  // Data of the guest.
  Taken take_data(std::span<const iovec> pieces, const wire::VsockHeader& header);
  // The guest said that it will send, or receive, no more.
  Taken take_shutdown(std::uint32_t flags);
  // The socket has become writable.
  Taken drain();

  // Whether there may be something to read for the guest.
  bool wants_to_read() const { return state_ == VsockState::established && readable_ && !host_ended_; }
  void ask_for_credit();

  enum class Read : std::uint8_t { data, nothing, ended, failed, no_credit };
  // How much room the next read needs: of a stream at most `bytes`, of a message exactly that many. `data` if it can be
  // read.
  Read prepare(std::size_t& bytes);
  // Reads into `room` (guest memory), which must be as prepare() said.
  Read read(std::span<const iovec> room, std::size_t& bytes);
  // Of the last packet of what was read.
  std::uint32_t data_flags() const { return messages_ ? wire::kVsockEndOfMessage : 0; }

  // `ending`: there is something about the socket's end to be read, behind whatever data.
  void on_readable(bool ending) {
    readable_ = true;
    ending_ |= ending;
  }
  void on_hang_up() { hung_up_ = true; }

  // Both directions have ended and all is passed on.
  bool finished() const;
  // The guest has been told that the host is gone altogether; its reset only confirms that.
  bool told_host_gone() const { return hung_up_ && host_ended_ && (owed_ & shutdown) == 0 && nothing_waits(); }
  bool guest_closed() const { return !guest_sends_ && !guest_receives_; }

  bool queued = false;  // in VsockFlows' list of connections with something to send

  flow::Closed totals(flow::End end, std::uint64_t now_ns) const;

 private:
  // A stream is read in portions of this size.
  static constexpr std::size_t kMaxRead = 64 * 1024;

  Taken take_stream(std::span<const iovec> pieces, std::uint32_t bytes);
  Taken take_part(std::span<const iovec> pieces, std::uint32_t bytes, bool end);
  Taken end_host_writing();
  Read end_reading();
  bool nothing_waits() const { return messages_ ? messages_->empty() : backlog_.empty(); }

  flow::FlowId flow_;
  VsockPorts ports_;
  VsockState state_;
  std::uint64_t opened_ns_;
  Fd fd_;
  PeerCredit peer_;
  OwnCredit own_;
  Backlog backlog_;
  std::optional<MessageBacklog> messages_;  // in place of the backlog
  std::uint64_t bytes_out_ = 0, bytes_in_ = 0;
  std::uint8_t owed_ = 0;
  bool guest_sends_ = true;
  bool guest_receives_ = true;
  bool host_ended_ = false;  // nothing more will be read from the socket
  bool host_shut_ = false;   // SHUT_WR is done
  bool readable_ = true;
  bool ending_ = false;
  bool hung_up_ = false;  // the host's end takes no more either
  bool asked_credit_ = false;
};

}  // namespace microagent::netd
