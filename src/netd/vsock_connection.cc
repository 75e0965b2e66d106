#include "netd/vsock_connection.h"

#include <sys/socket.h>

#include <algorithm>
#include <cerrno>
#include <climits>
#include <utility>

#include "base/pieces.h"
#include "wire/agent.h"

namespace microagent::netd {
namespace {

// Pieces of one packet that are handed to the kernel at once.
constexpr std::size_t kMaxPieces = 64;

bool would_block(int error) { return error == EAGAIN || error == EWOULDBLOCK; }

}  // namespace

VsockConnection::VsockConnection(const Setup& setup, std::uint64_t now_ns)
    : flow_(setup.flow),
      ports_(setup.ports),
      state_(setup.state),
      opened_ns_(now_ns),
      own_(setup.buffer_size),
      backlog_(setup.buffer_size) {
  if (setup.kind == VsockKind::packets) messages_.emplace(setup.buffer_size);
}

bool VsockConnection::set_fd(Fd fd) {
  fd_ = std::move(fd);
  if (!messages_) return true;
  int type = 0;
  socklen_t size = sizeof type;
  if (::getsockopt(fd_.get(), SOL_SOCKET, SO_TYPE, &type, &size) != 0 || type != SOCK_SEQPACKET) return false;
  // A message as large as our buffer must fit into the socket's, which counts its own bookkeeping too. Where the host
  // allows no more than it has, a message that is too large ends the connection.
  const int room = kVsockBuffer;
  (void)::setsockopt(fd_.get(), SOL_SOCKET, SO_SNDBUF, &room, sizeof room);
  return true;
}

wire::VsockHeader VsockConnection::header(std::uint64_t guest_cid, wire::VsockOp op) {
  own_.tell();
  settle(credit_update);
  wire::VsockHeader header;
  header.source_cid = wire::kHostCid;
  header.destination_cid = guest_cid;
  header.source_port = ports_.host;
  header.destination_port = ports_.guest;
  header.type = messages_ ? wire::kVsockSeqpacketType : wire::kVsockStream;
  header.op = static_cast<std::uint16_t>(op);
  header.buffer_size = own_.buffer_size();
  header.forwarded_count = own_.forwarded();
  return header;
}

std::uint32_t VsockConnection::shutdown_flags() const {
  return hung_up_ ? wire::kVsockShutdownBoth : wire::kVsockShutdownSend;
}

bool VsockConnection::update_credit(const wire::VsockHeader& header) {
  if (!peer_.update(header.buffer_size, header.forwarded_count)) return false;
  if (peer_.available() > 0) asked_credit_ = false;
  return true;
}

void VsockConnection::ask_for_credit() {
  if (std::exchange(asked_credit_, true)) return;
  owe(credit_request);
}

VsockConnection::Taken VsockConnection::take_data(std::span<const iovec> pieces, const wire::VsockHeader& header) {
  const std::uint32_t bytes = header.length;
  if (!guest_sends_ || !own_.receive(bytes)) return Taken::against_rules;
  bytes_out_ += bytes;
  if (!messages_) return take_stream(pieces, bytes);
  return take_part(pieces, bytes, (header.flags & wire::kVsockEndOfMessage) != 0);
}

VsockConnection::Taken VsockConnection::take_stream(std::span<const iovec> pieces, std::uint32_t bytes) {
  ssize_t sent = 0;
  if (backlog_.empty() && bytes > 0) {
    msghdr message{};
    message.msg_iov = const_cast<iovec*>(pieces.data());
    message.msg_iovlen = std::min(pieces.size(), kMaxPieces);
    sent = ::sendmsg(fd_.get(), &message, MSG_NOSIGNAL | MSG_DONTWAIT);
    if (sent < 0 && !would_block(errno)) return Taken::host_failed;
    sent = std::max<ssize_t>(sent, 0);
  }
  backlog_.append(pieces, static_cast<std::size_t>(sent));
  own_.forward(static_cast<std::uint32_t>(sent));
  if (own_.worth_telling()) owe(credit_update);
  return Taken::ok;
}

VsockConnection::Taken VsockConnection::take_part(std::span<const iovec> pieces, std::uint32_t bytes, bool end) {
  if (messages_->full()) return Taken::against_rules;
  messages_->append(pieces, bytes, end);
  return end ? drain() : Taken::ok;
}

VsockConnection::Taken VsockConnection::drain() {
  const ssize_t sent = messages_ ? messages_->drain(fd_.get()) : backlog_.drain(fd_.get());
  if (sent < 0) return Taken::host_failed;
  own_.forward(static_cast<std::uint32_t>(sent));
  if (own_.worth_telling()) owe(credit_update);
  return end_host_writing();
}

VsockConnection::Taken VsockConnection::take_shutdown(std::uint32_t flags) {
  if ((flags & wire::kVsockShutdownReceive) != 0 && std::exchange(guest_receives_, false)) {
    host_ended_ = true;
    settle(shutdown);
  }
  if ((flags & wire::kVsockShutdownSend) != 0) guest_sends_ = false;
  return end_host_writing();
}

VsockConnection::Taken VsockConnection::end_host_writing() {
  if (guest_sends_ || !nothing_waits() || host_shut_) return Taken::ok;
  host_shut_ = true;
  // ENOTCONN: the host is gone altogether, which is no less an end.
  if (::shutdown(fd_.get(), SHUT_WR) != 0 && errno != ENOTCONN) return Taken::host_failed;
  return Taken::ok;
}

VsockConnection::Read VsockConnection::prepare(std::size_t& bytes) {
  if (!messages_) {
    bytes = std::min<std::size_t>(peer_.available(), kMaxRead);
    return bytes == 0 ? Read::no_credit : Read::data;
  }
  ssize_t size = 0;
  do {
    size = ::recv(fd_.get(), nullptr, 0, MSG_PEEK | MSG_TRUNC | MSG_DONTWAIT);
  } while (size < 0 && errno == EINTR);
  if (size < 0 && would_block(errno)) {
    readable_ = false;
    return Read::nothing;
  }
  if (size < 0) return Read::failed;
  if (size == 0) return end_reading();
  bytes = static_cast<std::size_t>(size);
  if (bytes > peer_.buffer_size()) return Read::failed;  // it would wait for ever
  return bytes > peer_.available() ? Read::no_credit : Read::data;
}

VsockConnection::Read VsockConnection::read(std::span<const iovec> room, std::size_t& bytes) {
  msghdr message{};
  message.msg_iov = const_cast<iovec*>(room.data());
  message.msg_iovlen = std::min<std::size_t>(room.size(), IOV_MAX);
  ssize_t received = 0;
  do {
    received = ::recvmsg(fd_.get(), &message, MSG_DONTWAIT);
  } while (received < 0 && errno == EINTR);
  if (received < 0 && would_block(errno)) {
    readable_ = false;
    return Read::nothing;
  }
  if (received < 0) return Read::failed;
  if (received == 0) return end_reading();
  bytes = static_cast<std::size_t>(received);
  bytes_in_ += bytes;
  peer_.spend(static_cast<std::uint32_t>(bytes));
  // A stream that gave less than there was room for is empty; more will raise the descriptor's edge again.
  if (!messages_ && !ending_ && bytes < total_bytes(room)) readable_ = false;
  return Read::data;
}

VsockConnection::Read VsockConnection::end_reading() {
  host_ended_ = true;
  owe(shutdown);
  return Read::ended;
}

bool VsockConnection::finished() const { return host_shut_ && host_ended_ && (owed_ & shutdown) == 0; }

flow::Closed VsockConnection::totals(flow::End end, std::uint64_t now_ns) const {
  flow::Closed closed;
  closed.bytes_out = bytes_out_;
  closed.bytes_in = bytes_in_;
  closed.duration_us = (now_ns - opened_ns_) / 1000;
  closed.end = end;
  return closed;
}

}  // namespace microagent::netd
