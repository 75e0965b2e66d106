#include "netd/device_link.h"

#include <utility>

namespace microagent::netd {

DeviceLink::DeviceLink(Fd socket, const virtio::DeviceProfile& profile, Poller& poller, Source session_source,
                       Source kick_source)
    : poller_(poller),
      session_source_(session_source),
      kick_source_(kick_source),
      session_(std::move(socket), profile, *this) {}

DeviceLink::~DeviceLink() {
  session_.stop_all();
  poller_.forget(session_.fd());
}

bool DeviceLink::watch() { return poller_.watch(session_.fd(), EPOLLIN | EPOLLRDHUP, session_source_); }

bool DeviceLink::began(bool running) {
  const bool halted = std::exchange(halts_, session_.halts()) != session_.halts();
  const bool ran = std::exchange(ran_, running);
  return running && (!ran || halted);
}

bool DeviceLink::on_kick_added(std::size_t queue, int fd) { return poller_.watch(fd, EPOLLIN, kick_source_, queue); }

void DeviceLink::on_kick_removed(std::size_t, int fd) { poller_.forget(fd); }

}  // namespace microagent::netd
