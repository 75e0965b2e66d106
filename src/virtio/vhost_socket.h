#pragma once

#include <sys/socket.h>

#include <array>
#include <cstdint>
#include <span>

#include "base/fd.h"
#include "base/result.h"
#include "wire/vhost_user.h"

namespace microagent::virtio {

// One whole request and the descriptors that came with it; those not taken are closed with the next receive().
struct VhostMessage {
  wire::VhostHeader header;
  ByteView payload;
  std::span<Fd> files;
};

// Framing of vhost-user over a connected stream socket: collects a message however it is cut, replies whole.
class VhostSocket {
 public:
  explicit VhostSocket(Fd socket) : socket_(std::move(socket)) {}

  int fd() const { return socket_.get(); }

  // The next whole message, or nothing yet (false). An error means the connection is over: the peer left, or sent a
  // header that cannot be right, or more descriptors than any message has.
  Result<bool> receive(VhostMessage& out);

  // Answers `request`. The peer waits for it; one that has let the socket's buffer fill up is gone for us.
  Status reply(const wire::VhostHeader& request, ByteView payload);

 private:
  static constexpr std::size_t kMaxFiles = wire::kVhostMaxRegions;

  Result<bool> fill(std::size_t wanted);
  Status collect_files(const msghdr& message);

  Fd socket_;
  std::array<std::uint8_t, sizeof(wire::VhostHeader) + wire::kVhostMaxPayload> buffer_{};
  std::size_t filled_ = 0;
  bool delivered_ = false;
  std::array<Fd, kMaxFiles> files_;
  std::size_t file_count_ = 0;
};

}  // namespace microagent::virtio
