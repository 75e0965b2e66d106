#include "virtio/vhost_socket.h"

#include <sys/socket.h>
#include <sys/uio.h>

#include <cerrno>
#include <cstring>

namespace microagent::virtio {

using wire::VhostHeader;

Result<bool> VhostSocket::receive(VhostMessage& out) {
  if (delivered_) {
    for (Fd& file : files_) file.reset();
    filled_ = file_count_ = 0;
    delivered_ = false;
  }
  if (const auto whole = fill(sizeof(VhostHeader)); !whole || !*whole) return whole;
  const auto header = wire::parse_vhost_header(ByteView(buffer_).first(sizeof(VhostHeader)));
  if (!header) return fail(ErrorKind::permanent, "malformed vhost-user header");
  if (const auto whole = fill(sizeof(VhostHeader) + header->size); !whole || !*whole) return whole;

  out.header = *header;
  out.payload = ByteView(buffer_).subspan(sizeof(VhostHeader), header->size);
  out.files = std::span(files_).first(file_count_);
  delivered_ = true;
  return true;
}

// Reads until `wanted` bytes are there, never beyond: the rest belongs to the next part and may bring descriptors.
Result<bool> VhostSocket::fill(std::size_t wanted) {
  while (filled_ < wanted) {
    iovec part{buffer_.data() + filled_, wanted - filled_};
    alignas(cmsghdr) std::array<char, CMSG_SPACE(kMaxFiles * sizeof(int))> control{};
    msghdr message{};
    message.msg_iov = &part;
    message.msg_iovlen = 1;
    message.msg_control = control.data();
    message.msg_controllen = control.size();
    const ssize_t received = ::recvmsg(socket_.get(), &message, MSG_DONTWAIT | MSG_CMSG_CLOEXEC);
    if (received < 0 && errno == EINTR) continue;
    if (received < 0 && (errno == EAGAIN || errno == EWOULDBLOCK)) return false;
    if (received < 0) return fail_errno(errno, "vhost-user connection");
    if (Status collected = collect_files(message); !collected) return fail(collected.error());
    if (received == 0) return fail(ErrorKind::permanent, "the vhost-user front end left");
    filled_ += static_cast<std::size_t>(received);
  }
  return true;
}

Status VhostSocket::collect_files(const msghdr& message) {
  bool too_many = (message.msg_flags & MSG_CTRUNC) != 0;
  for (const cmsghdr* control = CMSG_FIRSTHDR(&message); control != nullptr;
       control = CMSG_NXTHDR(const_cast<msghdr*>(&message), const_cast<cmsghdr*>(control))) {
    if (control->cmsg_level != SOL_SOCKET || control->cmsg_type != SCM_RIGHTS) continue;
    const std::size_t count = (control->cmsg_len - CMSG_LEN(0)) / sizeof(int);
    for (std::size_t i = 0; i < count; ++i) {
      int number = -1;
      std::memcpy(&number, CMSG_DATA(control) + i * sizeof number, sizeof number);
      Fd file(number);
      if (file_count_ == kMaxFiles) too_many = true;
      else files_[file_count_++] = std::move(file);
    }
  }
  if (too_many) return fail(ErrorKind::permanent, "too many descriptors with a vhost-user message");
  return {};
}

Status VhostSocket::reply(const VhostHeader& request, ByteView payload) {
  const VhostHeader header{request.request, wire::kVhostVersion | wire::kVhostReply,
                           static_cast<std::uint32_t>(payload.size())};
  std::array<iovec, 2> parts{{{const_cast<VhostHeader*>(&header), sizeof header},
                              {const_cast<std::uint8_t*>(payload.data()), payload.size()}}};
  msghdr message{};
  message.msg_iov = parts.data();
  message.msg_iovlen = parts.size();
  ssize_t sent = 0;
  do {
    sent = ::sendmsg(socket_.get(), &message, MSG_NOSIGNAL | MSG_DONTWAIT);
  } while (sent < 0 && errno == EINTR);
  if (sent < 0) return fail_errno(errno, "vhost-user reply");
  if (static_cast<std::size_t>(sent) != sizeof header + payload.size()) {
    return fail(ErrorKind::permanent, "the vhost-user front end does not read its replies");
  }
  return {};
}

}  // namespace microagent::virtio
