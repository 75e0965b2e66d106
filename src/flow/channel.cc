#include "flow/channel.h"

#include <sys/socket.h>
#include <sys/uio.h>

#include <array>
#include <cerrno>

namespace microagent::flow {
namespace {

constexpr std::size_t kMaxBody = 128;
constexpr std::size_t kBufferSize = sizeof(Header) + kMaxBody + kMaxTrailing;

static_assert(sizeof(Open) <= kMaxBody && sizeof(Configure) <= kMaxBody && sizeof(Closed) <= kMaxBody);

// The body size a type must have; 0 for a type nobody knows.
std::size_t body_size(Type type) {
  switch (type) {
    case Type::open: return sizeof(Open);
    case Type::closed: return sizeof(Closed);
    case Type::first_bytes: return sizeof(FirstBytes);
    case Type::usage: return sizeof(Usage);
    case Type::dropped: return sizeof(Dropped);
    case Type::limits: return sizeof(Limits);
    case Type::verdict: return sizeof(Verdict);
    case Type::kill: return sizeof(Kill);
    case Type::sever: return sizeof(Sever);
    case Type::dial: return sizeof(Dial);
    case Type::configure: return sizeof(Configure);
    case Type::attach: return sizeof(Attach);
    case Type::ready: return sizeof(Ready);
    case Type::device_started: return sizeof(DeviceStarted);
    case Type::device_failed: return sizeof(DeviceFailed);
  }
  return 0;
}

// Takes the descriptor out of the control data. More than one was never sent by an honest peer; the kernel closes what
// did not fit, and the message is reported as truncated.
Fd take_fd(msghdr& message) {
  for (cmsghdr* control = CMSG_FIRSTHDR(&message); control != nullptr; control = CMSG_NXTHDR(&message, control)) {
    if (control->cmsg_level != SOL_SOCKET || control->cmsg_type != SCM_RIGHTS) continue;
    if (control->cmsg_len != CMSG_LEN(sizeof(int))) continue;
    int fd = -1;
    std::memcpy(&fd, CMSG_DATA(control), sizeof fd);
    return Fd(fd);
  }
  return Fd();
}

}  // namespace

Channel::Channel(Fd socket) : socket_(std::move(socket)), buffer_(std::make_unique<std::uint8_t[]>(kBufferSize)) {}

Result<std::pair<Fd, Fd>> Channel::make_pair() {
  std::array<int, 2> ends{};
  if (::socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC | SOCK_NONBLOCK, 0, ends.data()) != 0) {
    return fail_errno(errno, "cannot make a socket pair");
  }
  return std::pair{Fd(ends[0]), Fd(ends[1])};
}

Status Channel::send_raw(const Header& header, ByteView body, int passed, ByteView trailing) {
  if (trailing.size() > kMaxTrailing) return fail(ErrorKind::permanent, "flow message too long");
  const ByteView head = bytes_of(header);
  std::array<iovec, 3> parts{{{const_cast<std::uint8_t*>(head.data()), head.size()},
                              {const_cast<std::uint8_t*>(body.data()), body.size()},
                              {const_cast<std::uint8_t*>(trailing.data()), trailing.size()}}};
  alignas(cmsghdr) std::array<char, CMSG_SPACE(sizeof(int))> control{};
  msghdr message{};
  message.msg_iov = parts.data();
  message.msg_iovlen = parts.size();
  if (passed >= 0) {
    message.msg_control = control.data();
    message.msg_controllen = control.size();
    cmsghdr* rights = CMSG_FIRSTHDR(&message);
    rights->cmsg_level = SOL_SOCKET;
    rights->cmsg_type = SCM_RIGHTS;
    rights->cmsg_len = CMSG_LEN(sizeof(int));
    std::memcpy(CMSG_DATA(rights), &passed, sizeof passed);
  }
  ssize_t sent = 0;
  do {
    sent = ::sendmsg(socket_.get(), &message, MSG_NOSIGNAL | MSG_DONTWAIT);
  } while (sent < 0 && errno == EINTR);
  if (sent >= 0) return {};
  if (errno == EAGAIN || errno == EWOULDBLOCK) return fail(ErrorKind::transient, "the peer does not read its messages");
  return fail_errno(errno, "cannot send a flow message");
}

Receive Channel::receive(Message& out) {
  iovec part{buffer_.get(), kBufferSize};
  alignas(cmsghdr) std::array<char, CMSG_SPACE(sizeof(int))> control{};
  msghdr message{};
  message.msg_iov = &part;
  message.msg_iovlen = 1;
  message.msg_control = control.data();
  message.msg_controllen = control.size();
  ssize_t received = 0;
  do {
    received = ::recvmsg(socket_.get(), &message, MSG_DONTWAIT | MSG_CMSG_CLOEXEC);
  } while (received < 0 && errno == EINTR);
  if (received < 0) return errno == EAGAIN || errno == EWOULDBLOCK ? Receive::would_block : Receive::closed;
  out.fd = take_fd(message);
  if (received == 0) return Receive::closed;
  if ((message.msg_flags & (MSG_TRUNC | MSG_CTRUNC)) != 0) return Receive::broken;

  Reader reader(ByteView(buffer_.get(), static_cast<std::size_t>(received)));
  if (!reader.read(out.header) || out.header.version != kVersion) return Receive::broken;
  const std::size_t expected = body_size(out.header.type);
  if (expected == 0 || !reader.take(expected, out.body)) return Receive::broken;
  if (!reader.take(out.header.trailing, out.trailing) || reader.left() != 0) return Receive::broken;
  return Receive::message;
}

}  // namespace microagent::flow
