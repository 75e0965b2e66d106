#include "supervisor/front_ends.h"

#include <sys/socket.h>
#include <unistd.h>

#include <cerrno>
#include <utility>

#include "supervisor/sockets.h"

namespace microagent::supervisor {
namespace {

Result<Descriptor> listen_watched(const asio::any_io_executor& executor, int directory, const char* name) {
  auto socket = listen_in(directory, name);
  if (!socket) return fail(socket.error());
  return watch(executor, std::move(*socket));
}

asio::awaitable<Result<Fd>> accept_one(Descriptor& listener, Deadline deadline) {
  if (co_await wait_readable(listener, deadline) != Wait::ready) {
    co_return fail(ErrorKind::transient, "QEMU did not connect its devices in time");
  }
  Fd socket(::accept4(listener.native_handle(), nullptr, nullptr, SOCK_CLOEXEC | SOCK_NONBLOCK));
  if (!socket) co_return fail_errno(errno, "cannot accept QEMU's device");
  co_return socket;
}

}  // namespace

Result<FrontEndSockets> FrontEndSockets::create(const asio::any_io_executor& executor, int directory, bool with_net) {
  auto vsock = listen_watched(executor, directory, kVsock);
  if (!vsock) return fail(vsock.error());
  FrontEndSockets sockets(directory, std::move(*vsock));
  if (!with_net) return sockets;
  auto net = listen_watched(executor, directory, kNet);
  if (!net) return fail(net.error());
  sockets.net_.emplace(std::move(*net));
  return sockets;
}

FrontEndSockets::FrontEndSockets(FrontEndSockets&& other) noexcept
    : directory_(std::exchange(other.directory_, -1)), vsock_(std::move(other.vsock_)), net_(std::move(other.net_)) {}

FrontEndSockets::~FrontEndSockets() {
  if (directory_ < 0) return;
  ::unlinkat(directory_, kVsock, 0);
  ::unlinkat(directory_, kNet, 0);
}

asio::awaitable<Result<FrontEnds>> FrontEndSockets::accept(Deadline deadline) {
  FrontEnds ends;
  if (net_) {
    auto net = co_await accept_one(*net_, deadline);
    if (!net) co_return fail(net.error());
    ends.net = std::move(*net);
  }
  auto vsock = co_await accept_one(vsock_, deadline);
  if (!vsock) co_return fail(vsock.error());
  ends.vsock = std::move(*vsock);
  co_return ends;
}

}  // namespace microagent::supervisor
