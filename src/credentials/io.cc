#include "credentials/io.h"

#include <fcntl.h>
#include <sys/socket.h>
#include <unistd.h>

#include <cerrno>

namespace microagent::credentials {

Result<Descriptor> watch(const asio::any_io_executor& executor, Fd fd) {
  const int flags = ::fcntl(fd.get(), F_GETFL);
  if (flags < 0 || ::fcntl(fd.get(), F_SETFL, flags | O_NONBLOCK) != 0) {
    return fail_errno(errno, "cannot make a descriptor nonblocking");
  }
  Descriptor descriptor(executor);
  boost::system::error_code error;
  descriptor.assign(fd.get(), error);
  if (error) return fail_errno(error.value(), "cannot watch a descriptor");
  static_cast<void>(fd.release());  // the descriptor owns it now
  return descriptor;
}

asio::awaitable<bool> wait_for(Descriptor& descriptor, Descriptor::wait_type what) {
  const auto [error] = co_await descriptor.async_wait(what, kAsTuple);
  co_return !error;
}

asio::awaitable<std::size_t> read_some(Descriptor& descriptor, MutableBytes into) {
  for (;;) {
    const ssize_t count = ::read(descriptor.native_handle(), into.data(), into.size());
    if (count >= 0) co_return static_cast<std::size_t>(count);
    if (errno == EINTR) continue;
    if (errno != EAGAIN && errno != EWOULDBLOCK) co_return 0;
    if (!co_await wait_for(descriptor, Descriptor::wait_read)) co_return 0;
  }
}

asio::awaitable<bool> send_all(Descriptor& descriptor, ByteView bytes) {
  while (!bytes.empty()) {
    const ssize_t count = ::send(descriptor.native_handle(), bytes.data(), bytes.size(), MSG_NOSIGNAL | MSG_DONTWAIT);
    if (count > 0) bytes = bytes.subspan(static_cast<std::size_t>(count));
    if (count >= 0 || errno == EINTR) continue;
    if (errno != EAGAIN && errno != EWOULDBLOCK) co_return false;
    if (!co_await wait_for(descriptor, Descriptor::wait_write)) co_return false;
  }
  co_return true;
}

}  // namespace microagent::credentials
