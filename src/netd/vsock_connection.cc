#include "netd/vsock_connection.h"

#include <sys/socket.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <utility>

#include "wire/agent.h"

namespace microagent::netd {
namespace {

// Pieces of one packet that are handed to the kernel at once.
constexpr std::size_t kMaxPieces = 64;

bool would_block(int error) { return error == EAGAIN || error == EWOULDBLOCK; }

}  // namespace

wire::VsockHeader VsockConnection::header(std::uint64_t guest_cid, wire::VsockOp op) {
  own_.tell();
  settle(credit_update);
  wire::VsockHeader header;
  header.source_cid = wire::kHostCid;
  header.destination_cid = guest_cid;
  header.source_port = ports_.host;
  header.destination_port = ports_.guest;
  header.type = wire::kVsockStream;
  header.op = static_cast<std::uint16_t>(op);
  header.buffer_size = kVsockBuffer;
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

VsockConnection::Taken VsockConnection::take_data(std::span<const iovec> pieces, std::uint32_t bytes) {
  if (!guest_sends_ || !own_.receive(bytes)) return Taken::against_rules;
  bytes_out_ += bytes;
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

VsockConnection::Taken VsockConnection::drain() {
  const ssize_t sent = backlog_.drain(fd_.get());
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
  if (guest_sends_ || !backlog_.empty() || host_shut_) return Taken::ok;
  host_shut_ = true;
  // ENOTCONN: the host is gone altogether, which is no less an end.
  if (::shutdown(fd_.get(), SHUT_WR) != 0 && errno != ENOTCONN) return Taken::host_failed;
  return Taken::ok;
}

VsockConnection::Read VsockConnection::read(std::span<const iovec> room, std::uint32_t& bytes) {
  std::array<iovec, kMaxPieces> parts;
  std::size_t count = 0;
  std::size_t left = credit();
  for (; count < parts.size() && count < room.size() && left > 0; ++count) {
    parts[count] = iovec{room[count].iov_base, std::min(room[count].iov_len, left)};
    left -= parts[count].iov_len;
  }
  msghdr message{};
  message.msg_iov = parts.data();
  message.msg_iovlen = count;
  ssize_t received = 0;
  do {
    received = ::recvmsg(fd_.get(), &message, MSG_DONTWAIT);
  } while (received < 0 && errno == EINTR);
  if (received < 0 && would_block(errno)) {
    readable_ = false;
    return Read::nothing;
  }
  if (received < 0) return Read::failed;
  if (received == 0) {
    host_ended_ = true;
    owe(shutdown);
    return Read::ended;
  }
  bytes = static_cast<std::uint32_t>(received);
  bytes_in_ += bytes;
  peer_.spend(bytes);
  return Read::data;
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
