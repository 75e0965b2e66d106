#pragma once

#include "netd/poller.h"
#include "virtio/vhost_session.h"

namespace microagent::netd {

// One device's vhost-user connection in the loop: its socket and its queues' kick descriptors are watched while it
// lives.
class DeviceLink final : public virtio::VhostEvents {
 public:
  DeviceLink(Fd socket, const virtio::DeviceProfile& profile, Poller& poller, Source session_source,
             Source kick_source);
  ~DeviceLink() override;
  DeviceLink(const DeviceLink&) = delete;
  DeviceLink& operator=(const DeviceLink&) = delete;

  // Begins to watch the front end's messages.
  bool watch();
  virtio::VhostSession& session() { return session_; }
  // Whether the device, which runs or does not, has begun to since this was asked last. One that was halted meanwhile
  // has begun anew, though nobody saw it stand still.
  bool began(bool running);

  bool on_kick_added(std::size_t queue, int fd) override;
  void on_kick_removed(std::size_t queue, int fd) override;

 private:
  Poller& poller_;
  Source session_source_;
  Source kick_source_;
  virtio::VhostSession session_;
  bool ran_ = false;
  std::uint64_t halts_ = 0;
};

}  // namespace microagent::netd
