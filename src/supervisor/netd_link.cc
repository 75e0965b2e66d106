#include "supervisor/netd_link.h"

#include <fcntl.h>
#include <fmt/format.h>
#include <sys/socket.h>

#include <cerrno>

namespace microagent::supervisor {

Result<std::unique_ptr<NetdLink>> NetdLink::open(const asio::any_io_executor& executor, Fd socket, Changes& changes) {
  Fd copy(::fcntl(socket.get(), F_DUPFD_CLOEXEC, 0));
  if (!copy) return fail_errno(errno, "cannot watch netd's socket");
  auto readiness = watch(executor, std::move(copy));
  if (!readiness) return fail(readiness.error());
  std::unique_ptr<NetdLink> link(new NetdLink(flow::Channel(std::move(socket)), std::move(*readiness), changes));
  spawn(executor, link->receive());
  return link;
}

asio::awaitable<bool> NetdLink::dial(const flow::Dial& dial, Fd fd, ByteView first, std::function<void()> on_closed) {
  const flow::FlowId flow = ++last_flow_;
  // Known before it is sent: the answer may be there as soon as the message is.
  if (on_closed) dialled_.emplace(flow, std::move(on_closed));
  const bool sent = co_await send(flow, dial, fd, first);
  if (!sent) dialled_.erase(flow);
  co_return sent;
}

void NetdLink::close() {
  open_ = false;
  ::shutdown(channel_.fd(), SHUT_RDWR);
}

asio::awaitable<void> NetdLink::receive() {
  while (open_) {
    while (open_ && take_message()) {
    }
    if (open_ && co_await wait_readable(readiness_, kNever) != Wait::ready) set_fault("its socket failed");
  }
}

// False when there is none.
bool NetdLink::take_message() {
  flow::Message message;
  switch (channel_.receive(message)) {
    case flow::Receive::message: on_message(message); return true;
    case flow::Receive::would_block: return false;
    case flow::Receive::closed: set_fault("it hung up"); return false;
    case flow::Receive::broken: set_fault("it sent what is no message"); return false;
  }
  return false;
}

void NetdLink::on_message(const flow::Message& message) {
  if (message.as<flow::Ready>()) {
    ready_ = true;
    return changes_.notify();
  }
  if (message.as<flow::DeviceStarted>()) return;
  if (message.as<flow::Closed>()) {
    const auto found = dialled_.find(message.header.flow);
    if (found == dialled_.end()) return;
    const auto on_closed = std::move(found->second);
    dialled_.erase(found);
    return on_closed();
  }
  if (const auto failed = message.as<flow::DeviceFailed>()) {
    const std::string_view why(reinterpret_cast<const char*>(message.trailing.data()), message.trailing.size());
    fault_ = fmt::format("the {} device failed: {}", failed->device == flow::Device::net ? "net" : "vsock", why);
    return changes_.notify();
  }
  set_fault("it sent a message that is not its to send");
}

// The first fault is the cause of those that follow.
void NetdLink::set_fault(std::string why) {
  open_ = false;
  if (!fault_) fault_ = std::move(why);
  changes_.notify();
}

}  // namespace microagent::supervisor
