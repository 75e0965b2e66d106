#include "aio/io.h"

#include <fcntl.h>
#include <sys/socket.h>
#include <unistd.h>

#include <boost/asio/co_spawn.hpp>
#include <boost/asio/experimental/awaitable_operators.hpp>
#include <boost/asio/steady_timer.hpp>
#include <boost/asio/this_coro.hpp>
#include <cerrno>
#include <exception>

namespace microagent::aio {
namespace {

bool would_block(int error) { return error == EAGAIN || error == EWOULDBLOCK; }

asio::awaitable<Wait> wait_for(Descriptor& descriptor, Descriptor::wait_type what, Deadline deadline) {
  using namespace asio::experimental::awaitable_operators;
  if (deadline == kNever) {
    const auto [error] = co_await descriptor.async_wait(what, kAsTuple);
    co_return error ? Wait::failed : Wait::ready;
  }
  asio::steady_timer timer(descriptor.get_executor(), deadline);
  const auto first = co_await (descriptor.async_wait(what, kAsTuple) || timer.async_wait(kAsTuple));
  if (first.index() == 1) co_return Wait::timed_out;
  const auto [error] = std::get<0>(first);
  co_return error ? Wait::failed : Wait::ready;
}

}  // namespace

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

asio::awaitable<Wait> wait_readable(Descriptor& descriptor, Deadline deadline) {
  return wait_for(descriptor, Descriptor::wait_read, deadline);
}

asio::awaitable<Wait> wait_writable(Descriptor& descriptor, Deadline deadline) {
  return wait_for(descriptor, Descriptor::wait_write, deadline);
}

asio::awaitable<std::size_t> read_some(Descriptor& descriptor, MutableBytes into, Deadline deadline) {
  for (;;) {
    const ssize_t count = ::read(descriptor.native_handle(), into.data(), into.size());
    if (count >= 0) co_return static_cast<std::size_t>(count);
    if (errno == EINTR) continue;
    if (!would_block(errno)) co_return 0;
    if (co_await wait_readable(descriptor, deadline) != Wait::ready) co_return 0;
  }
}

asio::awaitable<bool> read_exactly(Descriptor& descriptor, MutableBytes into, Deadline deadline) {
  while (!into.empty()) {
    const std::size_t count = co_await read_some(descriptor, into, deadline);
    if (count == 0) co_return false;
    into = into.subspan(count);
  }
  co_return true;
}

asio::awaitable<bool> write_all(Descriptor& descriptor, ByteView bytes, Deadline deadline) {
  while (!bytes.empty()) {
    const ssize_t count = ::send(descriptor.native_handle(), bytes.data(), bytes.size(), MSG_NOSIGNAL | MSG_DONTWAIT);
    if (count > 0) bytes = bytes.subspan(static_cast<std::size_t>(count));
    if (count >= 0 || errno == EINTR) continue;
    if (!would_block(errno)) co_return false;
    if (co_await wait_writable(descriptor, deadline) != Wait::ready) co_return false;
  }
  co_return true;
}

asio::awaitable<void> forever() {
  asio::steady_timer timer(co_await asio::this_coro::executor, kNever);
  co_await timer.async_wait(kAsTuple);
}

void spawn(const asio::any_io_executor& executor, asio::awaitable<void> coroutine) {
  asio::co_spawn(executor, std::move(coroutine), [](const std::exception_ptr& thrown) {
    if (thrown) std::rethrow_exception(thrown);
  });
}

}  // namespace microagent::aio
