#include "aio/io.h"

#include <fcntl.h>
#include <sys/socket.h>
#include <unistd.h>

#include <boost/asio/bind_cancellation_slot.hpp>
#include <boost/asio/cancellation_signal.hpp>
#include <boost/asio/co_spawn.hpp>
#include <boost/asio/steady_timer.hpp>
#include <boost/asio/this_coro.hpp>
#include <cerrno>
#include <exception>
#include <memory>
#include <optional>

namespace microagent::aio {
namespace {

bool would_block(int error) { return error == EAGAIN || error == EWOULDBLOCK; }

// One wait with a deadline: news of the descriptor wakes who sleeps on the timer. The operator || would do, but it
// takes two coroutines and a group of them, and handshakes and heads of requests wait like this all the time.
struct TimedWait {
  TimedWait(const asio::any_io_executor& executor, Deadline deadline) : timer(executor, deadline) {}

  asio::steady_timer timer;
  asio::cancellation_signal stop;  // of the descriptor's operation, and of no other on it
  std::optional<Wait> news;
};

// However the sleeper is woken, or destroyed: a wait that nobody waits for any more ends.
struct Unwatch {
  TimedWait& wait;
  ~Unwatch() {
    if (!wait.news) wait.stop.emit(asio::cancellation_type::terminal);
  }
};

asio::awaitable<Wait> wait_until(Descriptor& descriptor, Descriptor::wait_type what, Deadline deadline) {
  const auto state = std::make_shared<TimedWait>(descriptor.get_executor(), deadline);
  descriptor.async_wait(what, asio::bind_cancellation_slot(state->stop.slot(), [state](const auto& error) {
                          state->news = error ? Wait::failed : Wait::ready;
                          state->timer.cancel();
                        }));
  const Unwatch unwatch{*state};
  co_await state->timer.async_wait(kAsTuple);
  if (state->news) co_return *state->news;
  co_return std::chrono::steady_clock::now() < deadline ? Wait::failed : Wait::timed_out;
}

asio::awaitable<Wait> wait_for(Descriptor& descriptor, Descriptor::wait_type what, Deadline deadline) {
  if (deadline != kNever) co_return co_await wait_until(descriptor, what, deadline);
  const auto [error] = co_await descriptor.async_wait(what, kAsTuple);
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
