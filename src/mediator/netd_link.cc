#include "mediator/netd_link.h"

#include <fcntl.h>
#include <sys/socket.h>

#include <boost/asio/post.hpp>
#include <boost/asio/use_awaitable.hpp>
#include <cerrno>

#include "mediator/io.h"

namespace microagent::mediator {
namespace {

// Questions are left unread beyond the first, and the connection is given up beyond the second: a flow has two verdicts
// and an order to end at most, so an honest netd cannot get there.
constexpr std::size_t kHighWater = 1024;
constexpr std::size_t kMaxQueued = 4 * kMaxFlows;

// Messages in a row after which everybody else has a turn.
constexpr std::size_t kTurn = 64;

}  // namespace

Result<std::unique_ptr<NetdLink>> NetdLink::open(const asio::any_io_executor& executor, Fd socket) {
  Fd second(::fcntl(socket.get(), F_DUPFD_CLOEXEC, 0));
  if (!second) return fail_errno(errno, "cannot duplicate netd's socket");
  auto readiness = watch(executor, std::move(second));
  if (!readiness) return fail(readiness.error());
  return std::unique_ptr<NetdLink>(new NetdLink(flow::Channel(std::move(socket)), std::move(*readiness)));
}

asio::awaitable<std::string> NetdLink::receive(OnMessage on_message) {
  flow::Message message;
  for (std::size_t received = 1;; ++received) {
    if (received % kTurn == 0) co_await asio::post(asio::use_awaitable);
    while (queue_.size() >= kHighWater) {
      if (co_await wait_writable(readiness_, kNever) != Wait::ready) co_return "netd's socket failed";
      flush();
    }
    switch (channel_.receive(message)) {
      case flow::Receive::closed: co_return "netd is gone";
      case flow::Receive::broken: co_return "netd broke the verdict protocol";
      case flow::Receive::would_block:
        if (co_await wait_readable(readiness_, kNever) != Wait::ready) co_return "netd's socket failed";
        break;
      case flow::Receive::message:
        if (std::string wrong = on_message(message); !wrong.empty()) co_return wrong;
    }
  }
}

void NetdLink::dial_vsock(std::uint32_t guest_port, Fd fd) {
  flow::Dial dial;
  dial.guest_port = guest_port;
  dial.protocol = flow::Protocol::vsock;
  send(++last_dial_, dial, std::move(fd));
}

void NetdLink::send(flow::FlowId flow, const Body& body, Fd fd) {
  if (queue_.size() >= kMaxQueued) return give_up();
  queue_.push_back({flow, body, std::move(fd)});
  flush();
  if (queue_.empty() || flushing_) return;
  flushing_ = true;
  spawn(readiness_.get_executor(), flush_when_writable());
}

void NetdLink::flush() {
  while (!queue_.empty()) {
    const Pending& first = queue_.front();
    const Status status =
        std::visit([&](const auto& body) { return channel_.send(first.flow, body, first.fd.get()); }, first.body);
    if (!status && status.error().retryable()) return;
    if (!status) return give_up();
    queue_.pop_front();
  }
}

// Ends the connection in both directions, which receive() then reports.
void NetdLink::give_up() {
  queue_.clear();
  ::shutdown(channel_.fd(), SHUT_RDWR);
}

asio::awaitable<void> NetdLink::flush_when_writable() {
  while (!queue_.empty() && co_await wait_writable(readiness_, kNever) == Wait::ready) flush();
  flushing_ = false;
}

}  // namespace microagent::mediator
